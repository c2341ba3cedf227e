#include "lithe/base/choice.h"

#include <gtest/gtest.h>

#include "lithe/spec/config.h"

namespace lithe {
namespace {

template <class Enum> void expect_table() {
    std::vector<std::string> names;
    for (const Named<Enum>& each : names_of(Enum())) {
        EXPECT_EQ(index_of(each.value), names.size()) << each.name;
        EXPECT_EQ(size_t(each.value), names.size()) << each.name << " stands elsewhere in its enum";
        EXPECT_EQ(name_of(each.value), each.name);
        EXPECT_EQ(value_of<Enum>(each.name), each.value);
        names.emplace_back(each.name);
    }
    EXPECT_EQ(choice_names<Enum>(), names);
    EXPECT_FALSE(value_of<Enum>("another"));
    EXPECT_FALSE(value_of<Enum>(""));
}

template <class... Enums> void expect_tables() { (expect_table<Enums>(), ...); }

TEST(Choice, TablesNameEveryValue) {
    expect_tables<MemoryForm, NormPlace, Positions, EmbeddingInit, EmbeddingScale, Direction, HeadForm, TiedProjections,
                  ClusterOrder>();
    expect_tables<ByteVocabulary, TextFormat, DocumentEnd, Duplicates, TextOrder, DocumentRows>();
    expect_tables<OptimizerKind, DecayedParameters, RadamFallback, MuonScale, ScheduleKind, ScheduleAxis,
                  LayerDropMethod, ProgressiveForm, LayerDrawUnit, DroppedMoments>();
    expect_tables<Precision, DeviceKind, NonFinite, AttentionMask>();
    expect_tables<SearchMethod, CandidateSampling, CostUnit, CostForm>();
}

}  // namespace
}  // namespace lithe
