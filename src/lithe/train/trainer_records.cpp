// What a run says of itself when it starts, and of the machine that it runs on.
#include <sys/utsname.h>
#include <torch/version.h>

#include <chrono>

#include "lithe/base/version.h"
#include "lithe/kernels/isa.h"
#include "lithe/train/train_run.h"
#include "lithe/train/trainer.h"

namespace lithe {
using Json = nlohmann::ordered_json;

static std::string now_text() {
    auto seconds = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    char text[32];
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

// What the numbers depend on in their last bits.
Json Trainer::machine_record() const {
    const TrainRun& r = *run_;
    const Machine& machine = r.machine;
    return {{"device", machine.device.str()},
            {"isa", kernels::isa_name(kernels::selected_isa())},
            {"threads", machine.threads},
            {"precision", name_of(machine.precision)},
            {"parts", r.config.train.parts}};
}

Json Trainer::start_record() const {
    struct utsname host {};
    uname(&host);
    const TrainRun& r = *run_;
    return {{"time", now_text()},
            {"from_step", r.state.step},
            {"lithe", std::string(version()) + " " + revision()},
            {"libtorch", TORCH_VERSION},
            {"host", host.nodename},
            {"system", std::string(host.sysname) + " " + host.release},
            {"cpu", r.machine.cpu},
            {"isa", kernels::isa_name(kernels::selected_isa())},
            {"device", r.machine.device.str()},
            {"threads", r.machine.threads},
            {"precision", name_of(r.machine.precision)},
            {"parts", r.config.train.parts},
            {"vocabulary_size", r.model->vocabulary_size()},
            {"changed", r.changes},
            {"fp32_products", r.machine.products},
            {"seed", r.config.train.seed},
            {"loss_is_cross_entropy", r.objective->loss_is_cross_entropy()},
            {"data_fingerprint", r.corpus.fingerprint()},
            {"tokenizer_hash", r.corpus.tokenizer().hash()},
            {"source", r.options.source.empty() ? RunFolder::source(r.options.run) : r.options.source},
            {"argv", r.options.argv}};
}

}  // namespace lithe
