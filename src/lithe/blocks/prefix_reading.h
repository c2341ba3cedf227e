// An entry of the passes of models whose texts begin with a part that is read from both sides (a prefix language
// model). What attention keeps of such a part for what follows it then has gradients.
#pragma once

namespace lithe {

struct PrefixReading {};

}  // namespace lithe
