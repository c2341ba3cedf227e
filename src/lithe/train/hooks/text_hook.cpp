#include "lithe/train/hooks/text_hook.h"

#include <algorithm>

#include "lithe/base/log.h"
#include "lithe/base/wording.h"

namespace lithe {

// What was read of it is not all of one text any more.
void TextHook::look() {
    if (!run_.text) return;
    const auto& sources = run_.corpus.sources();
    const bool mapped = std::any_of(sources.begin(), sources.end(), [](const CorpusSource& source) {
        return dynamic_cast<const MappedText*>(source.train.get()) != nullptr;
    });
    const std::string change = run_.text->changed(mapped);
    if (change.empty()) return;
    run_.text.reset();
    log_warning("the text changed while it was trained on: " + change +
                ". The run goes on with what it opened; evaluations of the file as it is now are of another text, and "
                "the run is resumed only with the text as it was: put it back, or start another with " +
                option("run"));
}

}  // namespace lithe
