#include "lithe/data/talk_pairs.h"

#include "lithe/data/datasets.h"
#include "support/archives.h"
#include "support/errors.h"
#include "support/files.h"
#include "support/http_server.h"

namespace lithe {
namespace {

using Pair = std::array<std::string, 2>;  // German, English
using Pairs = std::vector<Pair>;

constexpr std::array kLanguages = {"de", "en"};

// Lines of train.tags.de-en and what is kept of them, by tests/golden/make_moses.py (sacremoses 0.1.1).
const Pairs kTagged = {
    {"<url>http://x.y/z</url>", "<url>http://x.y/z</url>"},
    {"<keywords>a, b</keywords>", "<keywords>a, b</keywords>"},
    {"<speaker>Anna M\xC3\xBCller</speaker>", "<speaker>Anna M\xC3\xBCller</speaker>"},
    {"<talkid>1</talkid>", "<talkid>1</talkid>"},
    {"<title>Anna M\xC3\xBCller: Gr\xC3\xB6\xC3\x9F"
     "e & Ma\xC3\x9F</title>",
     "<title>Anna M\xC3\xBCller: Size & Measure</title>"},
    {"<description>Das ist z.B. gut.</description>", "<description>This is e.g. good.</description>"},
    {" Wir haben's, \xE2\x80\x9Eja\xE2\x80\x9C! ", "We've got it, \"yes\"!"},
    {"", "Alone"},
    {"Kurz.", " \xC2\xA0 "},
    {"Eins zwei drei", "One two"},
    {"Vier W\xC3\xB6rter in Zeilen", "Two words"},
    {"Zwei W\xC3\xB6rter", "Four words in lines"},
    {"\xC4\xB0stanbul \xCE\x9F\xCE\x94\xCE\x9F\xCE\xA3 [eins|zwei]", "Istanbul ODOS [one|two]\x0D"},
};
const Pairs kKept = {
    {"&lt; speaker &gt; anna m\xC3\xBCller &lt; / speaker &gt;",
     "&lt; speaker &gt; anna m\xC3\xBCller &lt; / speaker &gt;"},
    {"anna m\xC3\xBCller : gr\xC3\xB6\xC3\x9F"
     "e &amp; ma\xC3\x9F",
     "anna m\xC3\xBCller : size &amp; measure"},
    {"das ist z.b. gut .", "this is e.g. good ."},
    {"wir haben &apos; s , \xE2\x80\x9E ja \xE2\x80\x9C !", "we &apos;ve got it , &quot; yes &quot; !"},
    {"eins zwei drei", "one two"},
    {"i\xCC\x87stanbul \xCE\xBF\xCE\xB4\xCE\xBF\xCF\x83 &#91; eins &#124; zwei &#93;",
     "istanbul odos &#91; one &#124; two &#93;"},
};
const Pairs kSegments = {
    {"  <seg id=\"1\"> Es ist\xE2\x80\x99s, Dr. X </seg>", "<seg id=\"1\"> It\xE2\x80\x99s Dr. X </seg>  "},
    {"<seg id=\"22\">&amp; U.S.</seg>", "<seg id=\"22\">&amp; U.S.</seg>"},
    {"<seg id=\"23\"> </seg>", "<seg id=\"23\">.</seg>"},
};
const Pairs kSegmentTokens = {
    {"es ist &apos; s , dr. x", "it &apos;s dr. x"},
    {"&amp; amp ; u.s.", "&amp; amp ; u.s."},
    {"", "."},
};
const char* const kTests[] = {"TED.dev2010", "TEDX.dev2012", "TED.tst2010", "TED.tst2011", "TED.tst2012"};

std::string words(size_t count) {
    std::string line = "w";
    for (size_t i = 1; i < count; ++i) line += " w";
    return line;
}

std::string repeated(std::string_view text, size_t count) {
    std::string all;
    for (size_t i = 0; i < count; ++i) all += text;
    return all;
}

// One side of pairs as a file.
std::string side_of(const Pairs& pairs, size_t side) {
    std::string text;
    for (const Pair& pair : pairs) text += pair[side] + "\n";
    return text;
}

class TalkPairs : public ::testing::Test {
 protected:
    testing::TemporaryFolder folder;
    std::vector<testing::ArchiveMember> members;

    // The layout of the archive. The files stand in another order than the test's.
    void add_members(const Pairs& tagged) {
        for (size_t side = 0; side < 2; ++side) {
            const std::string language = kLanguages[side];
            for (size_t i = std::size(kTests); i-- > 0;) {
                const std::string mark = std::string("\n<seg id=\"99\">") + kTests[i] + "!</seg>\n</doc>\n";
                members.push_back({"de-en/IWSLT14." + std::string(kTests[i]) + ".de-en." + language + ".xml",
                                   "<doc docid=\"1\">\n<title>T</title>\n" + side_of(kSegments, side) + mark});
            }
            members.push_back({"de-en/._train.tags.de-en." + language, "of another system"});
            members.push_back({"de-en/train.tags.de-en." + language, side_of(tagged, side)});
        }
        members.push_back({"de-en/README", "x"});
    }
    // Downloads and installs the archive of `members`.
    void install(const std::string& to) {
        testing::write_archive(folder.file("de-en.tar.gz"), members);
        const std::string packed = testing::read_all(folder.file("de-en.tar.gz"));
        testing::HttpServer server([&](const std::string&, int) { return testing::HttpAnswer{.body = packed}; });
        Dataset dataset = find_dataset("iwslt14");
        dataset.files[0].urls = {server.url("/de-en.tgz")};
        const auto names = install_dataset(dataset, folder.file(to), {}, {.tries = 1, .progress = false});
        EXPECT_EQ(names,
                  (std::vector<std::string>{"test.de", "test.en", "train.de", "train.en", "valid.de", "valid.en"}));
    }
    std::string& text_of(const std::string& name) {
        for (testing::ArchiveMember& member : members)
            if (member.name == name) return member.text;
        throw std::runtime_error("no member " + name);
    }
    void expect_file(const std::string& name, const Pairs& pairs) {
        for (size_t side = 0; side < 2; ++side)
            EXPECT_EQ(testing::read_all(folder.file("data/" + name + "." + kLanguages[side])), side_of(pairs, side));
    }
};

TEST_F(TalkPairs, AreThoseThatEverybodyTrainsOn) {
    Pairs tagged = kTagged, kept = kKept;
    tagged.push_back({words(176), words(176)});
    tagged.push_back({words(175), words(175)});
    kept.push_back(tagged.back());
    tagged.push_back({repeated("x", 1001), "x"});
    tagged.push_back({repeated("\xC3\x9C", 1000), "U"});
    kept.push_back({repeated("\xC3\xBC", 1000), "u"});
    for (int i = 0; i < 20; ++i) {
        tagged.push_back({"Zeile " + std::to_string(i), "Line " + std::to_string(i)});
        kept.push_back({"zeile " + std::to_string(i), "line " + std::to_string(i)});
    }
    add_members(tagged);
    install("data");
    const Pair valid = kept.at(22);
    kept.erase(kept.begin() + 22);
    expect_file("train", kept);
    expect_file("valid", {valid});
    Pairs test;
    for (const char* name : {"ted.dev2010", "tedx.dev2012", "ted.tst2010", "ted.tst2011", "ted.tst2012"}) {
        test.insert(test.end(), kSegmentTokens.begin(), kSegmentTokens.end());
        test.push_back({std::string(name) + " !", std::string(name) + " !"});
    }
    expect_file("test", test);
    EXPECT_NE(testing::read_all(folder.file("data/SOURCE.json")).find("\"train.de\""), std::string::npos);
}

TEST_F(TalkPairs, SettingsReadTokenizedPairs) {
    const Dataset& dataset = find_dataset("iwslt14");
    const std::vector<std::string> expected = {"data.train=d/train.de",    "data.valid=d/valid.de",
                                               "data.test=d/test.de",      "data.parallel=.en",
                                               "objective.name=translate", "objective.bleu_tokens=none"};
    EXPECT_EQ(settings_for(dataset, "d"), expected);
}

TEST_F(TalkPairs, AMissingPartIsNamed) {
    add_members(kTagged);
    std::erase_if(members, [](const auto& member) { return member.name.ends_with("TEDX.dev2012.de-en.en.xml"); });
    EXPECT_ERROR(install("data"), ErrorKind::bad_file,
                 "the archive holds no member like *de-en/IWSLT14.TEDX.dev2012.de-en.en.xml");
    EXPECT_FALSE(std::filesystem::exists(folder.file("data/train.de")));
    std::erase_if(members, [](const auto& member) { return member.name == "de-en/train.tags.de-en.de"; });
    EXPECT_ERROR(install("other"), ErrorKind::bad_file, "no member like *de-en/train.tags.de-en.de");
}

TEST_F(TalkPairs, TwoOfAPartAreRefused) {
    add_members(kTagged);
    members.push_back({"old/de-en/train.tags.de-en.en", "x\n"});
    EXPECT_ERROR(install("data"), ErrorKind::bad_file, "two members like *de-en/train.tags.de-en.en");
}

TEST_F(TalkPairs, SidesOfDifferentLengthAreRefused) {
    add_members(kTagged);
    text_of("de-en/IWSLT14.TED.tst2011.de-en.de.xml") += "<seg id=\"100\">x</seg>";
    EXPECT_ERROR(install("data"), ErrorKind::bad_file, "expected 5 lines as in de, got 4 in en");
    EXPECT_ERROR(install("data"), ErrorKind::bad_file, "members *de-en/IWSLT14.TED.tst2011.de-en.LANG.xml");
    text_of("de-en/train.tags.de-en.en") += "x\n";
    EXPECT_ERROR(install("data"), ErrorKind::bad_file, "the two sides of the pairs differ in length");
}

TEST(TalkPairsOfTexts, OddTexts) {
    const auto tagged = [](const std::string& german, const std::string& english) {
        return tagged_pairs({.languages = {"de", "en"}, .texts = {german, english}}, "here");
    };
    EXPECT_EQ(tagged("", ""), SideLines());
    EXPECT_EQ(tagged("\n\n", "\n<title></title>")[0].size(), 0u);
    EXPECT_EQ(tagged("\xFF"
                     "A",
                     "\xFF"
                     "B"),
              (SideLines{{{"\xFF a"}, {"\xFF b"}}}));  // the last line needs no end
    const auto segments = [](const std::string& text) {
        return segment_pairs({.languages = {"de", "en"}, .texts = {text, text}}, "here")[1];
    };
    EXPECT_EQ(segments("<seg id=\"\"></seg>"), (std::vector<std::string>{""}));
    EXPECT_EQ(segments("a <seg id=\"1\"> B </seg> c </seg>\n<seg id=x>"),
              (std::vector<std::string>{"a bc", "&lt; seg id = x &gt;"}));
    EXPECT_EQ(segments("</seg>\n<seg id"), (std::vector<std::string>{"&lt; seg id"}));
}

}  // namespace
}  // namespace lithe
