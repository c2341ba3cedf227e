#include "lithe/train/hooks/saving_hook.h"

namespace lithe {

bool SavingHook::between_steps() {
    const CheckpointConfig& c = run_.config.checkpoint;
    const bool by_steps = c.every > 0 && run_.state.step % c.every == 0;
    const bool by_time = c.every_seconds > 0 && since_save_.seconds() >= c.every_seconds;
    if (run_.changed && (by_steps || by_time)) run_.save(false);
    return true;
}

}  // namespace lithe
