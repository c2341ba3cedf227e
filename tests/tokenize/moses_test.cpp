#include "lithe/tokenize/moses.h"

#include "lithe/tokenize/moses_characters.h"
#include "support/errors.h"

namespace lithe::tokenize {
namespace {

using namespace std::string_view_literals;

struct Line {
    std::string_view text, german;
    std::string_view english = german;
};

// What sacremoses 0.1.1 says, by tests/golden/make_moses.py.
constexpr Line kLines[] = {
    {"", ""},
    {"   ", ""},
    {"\x09 \x0B\x0C", ""},
    {"\x00"sv, ""},
    {"\x01"
     "a\x02"
     "b \x03 c\x1F",
     "ab c"},
    {"a\x1C"
     "b\x1D"
     "c\x1E"
     "d",
     "a b c d"},
    {"a\x0D", "a"},
    {"x\x7Fy", "x \x7F y"},
    {"a\xC2\xA0"
     "b\xE2\x80\x83"
     "c\xE3\x80\x80"
     "d\xE2\x80\xA8"
     "e\xC2\x85"
     "f\xE2\x80\xAFg",
     "a b c d e f g"},
    {"zero\xE2\x80\x8Bwidth \xEF\xBB\xBFmark soft\xC2\xADhyphen",
     "zero \xE2\x80\x8B width \xEF\xBB\xBF mark soft \xC2\xAD hyphen"},
    {"Hello, world!", "Hello , world !"},
    {"It's 3,500.75 dollars, i.e. $3,500.75.", "It &apos; s 3,500.75 dollars , i.e. $ 3,500.75 .",
     "It &apos;s 3,500.75 dollars , i.e. $ 3,500.75 ."},
    {"1,000 2,a a,2 ,1 1, ,", "1,000 2 , a a , 2 , 1 1 , ,"},
    {",,a,,,1,,2,,,", ", , a , , , 1 , , 2 , , ,"},
    {"3,", "3 ,"},
    {"wait... what.... no.....", "wait ... what .... no ....."},
    {"...start", "... start"},
    {"end...", "end ..."},
    {"a..b...c.,..d", "a .. b ... c. , .. d", "a .. b ... c . , .. d"},
    {". .. ... .", ". .. ... ."},
    {"'...' \"..\"", "&apos; ... &apos; &quot; .. &quot;"},
    {"5... 5.. 5.", "5 ... 5 .. 5.", "5 ... 5 .. 5 ."},
    {"a.b.c. Next", "a.b.c. Next"},
    {"U.S. is, U.S.", "U.S. is , U.S."},
    {"3.5.", "3.5 ."},
    {"No. 5 No. five Nr. 7 Art. 3 Art. x pp. 12 pp. B", "No. 5 No. five Nr. 7 Art. 3 Art. x pp. 12 pp. B",
     "No. 5 No. five Nr. 7 Art. 3 Art. x pp. 12 pp . B"},
    {"p.m. Then", "p.m. Then"},
    {"v. V. x.", "v. V. x.", "v. V. x ."},
    {"semi-colon; dash - dash -- em\xE2\x80\x94"
     "dash en\xE2\x80\x93"
     "dash - a-b-c",
     "semi-colon ; dash - dash -- em \xE2\x80\x94 dash en \xE2\x80\x93 dash - a-b-c"},
    {"(round) [square] {curly} <angle>", "( round ) &#91; square &#93; { curly } &lt; angle &gt;"},
    {"a|b & c &amp; d &lt;e&gt; \"f\" 'g' `h` ``i''",
     "a &#124; b &amp; c &amp; amp ; d &amp; lt ; e &amp; gt ; &quot; f &quot; &apos; g &apos; `h` ``i &apos; &apos;"},
    {"#tag @user a@b.de 100% 5$ 5\xE2\x82\xAC \xC2\xA3"
     "5 \xC2\xA7 3 \xC2\xB0"
     "C ^_~*+=/\\",
     "# tag @ user a @ b.de 100 % 5 $ 5 \xE2\x82\xAC \xC2\xA3 5 \xC2\xA7 3 \xC2\xB0 C ^ _ ~ * + = / \\"},
    {"https://www.example.com/a_b?c=d&e=f#g.", "https : / / www.example.com / a _ b ? c = d &amp; e = f # g.",
     "https : / / www.example.com / a _ b ? c = d &amp; e = f # g ."},
    {"www.ted.com, ftp://x.y.", "www.ted.com , ftp : / / x.y."},
    {"\xE2\x80\x9EZitat\xE2\x80\x9C \xE2\x80\x9Cquote\xE2\x80\x9D \xE2\x80\x98q\xE2\x80\x99 \xC2\xABg\xC2\xBB",
     "\xE2\x80\x9E Zitat \xE2\x80\x9C \xE2\x80\x9C quote \xE2\x80\x9D \xE2\x80\x98 q \xE2\x80\x99 \xC2\xAB g \xC2\xBB"},
    {"\xE4\xB8\xAD\xE6\x96\x87\xE5\xAD\x97\xE3\x80\x82 \xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E "
     "\xED\x95\x9C\xEA\xB5\xAD\xEC\x96\xB4 \xE3\x81\x82\xE3\x82\xA2",
     "\xE4\xB8\xAD \xE6\x96\x87 \xE5\xAD\x97 \xE3\x80\x82 \xE6\x97\xA5 \xE6\x9C\xAC \xE8\xAA\x9E \xED\x95\x9C "
     "\xEA\xB5\xAD \xEC\x96\xB4 \xE3\x81\x82\xE3\x82\xA2"},
    {"\xD1\x80\xD1\x83\xD1\x81. \xD0\xB4\xD0\xB0. \xD0\x94\xD0\xB0.",
     "\xD1\x80\xD1\x83\xD1\x81. \xD0\xB4\xD0\xB0 . \xD0\x94\xD0\xB0 ."},
    {"e\xCC\x81 a\xCC\x88 \xE0\xA4\x95\xE0\xA5\x8D\xE0\xA4\xB7 \xE2\x97\x8C"
     "a",
     "e \xCC\x81 a \xCC\x88 \xE0\xA4\x95\xE0\xA5\x8D\xE0\xA4\xB7 \xE2\x97\x8C"
     "a"},
    {"\xC2\xBD 1\xC2\xBD,2 \xE2\x85\xA0,3 \xD9\xA3,\xD9\xA4 x\xC2\xB2,y",
     "\xC2\xBD 1 \xC2\xBD , 2 \xE2\x85\xA0,3 \xD9\xA3,\xD9\xA4 x \xC2\xB2 , y"},
    {"\xF0\x9F\x98\x80 ok\xF0\x9F\x91\x8D. \xF0\x9D\x90\x80 \xF0\x90\x90\x80",
     "\xF0\x9F\x98\x80 ok \xF0\x9F\x91\x8D . \xF0\x9D\x90\x80 \xF0\x90\x90\x80"},
    {"don\xE2\x80\x99t", "don \xE2\x80\x99 t"},
    {"\xC2\xAA\xC2\xBA \xC2\xB5m \xCA\xBC", "\xC2\xAA\xC2\xBA \xC2\xB5m \xCA\xBC"},
    {"bad \xFF byte\xC3. \xED\xA0\x80,1", "bad \xFF byte \xC3 . \xED \xA0 \x80 , 1"},
    {"\xE2\x82"
     "a.",
     "\xE2 \x82 a.", "\xE2 \x82 a ."},
    {"c++, c# .net node.js", "c + + , c # .net node.js"},
    {"a.'", "a. &apos;", "a . &apos;"},
    {"x .' ", "x . &apos;"},
    {".'", ". &apos;"},
    {"'", "&apos;"},
    {"''", "&apos; &apos;", "&apos;&apos;"},
    {"a''b 'a'", "a &apos; &apos; b &apos; a &apos;", "a &apos; &apos; b &apos; a&apos;"},
    {"Don't can't I'm you're we've she'll he'd",
     "Don &apos; t can &apos; t I &apos; m you &apos; re we &apos; ve she &apos; ll he &apos; d",
     "Don &apos;t can &apos;t I &apos;m you &apos;re we &apos;ve she &apos;ll he &apos;d"},
    {"the dogs' bones, Jones' 'tis 'Twas rock'n'roll",
     "the dogs &apos; bones , Jones &apos; &apos; tis &apos; Twas rock &apos; n &apos; roll",
     "the dogs &apos; bones , Jones &apos; &apos; tis &apos; Twas rock &apos;n&apos;roll"},
    {"the 1990's '90s 5'6\" 1'2 9'a", "the 1990 &apos; s &apos; 90s 5 &apos; 6 &quot; 1 &apos; 2 9 &apos; a",
     "the 1990 &apos;s &apos; 90s 5 &apos; 6 &quot; 1 &apos; 2 9&apos;a"},
    {"Mr. Smith, Dr. Jones and Prof. X. said so.", "Mr. Smith , Dr. Jones and Prof. X. said so ."},
    {"e.g. this, i.e. that, vs. those Rs. 5 Jan. 3", "e.g. this , i.e. that , vs. those Rs . 5 Jan . 3",
     "e.g. this , i.e. that , vs. those Rs. 5 Jan. 3"},
    {"He left. she stayed. He left.", "He left. she stayed . He left ."},
    {"O'Neil's 'quoted' text.", "O &apos; Neil &apos; s &apos; quoted &apos; text .",
     "O &apos;Neil &apos;s &apos; quoted &apos; text ."},
    {"I live in Washington, D.C.", "I live in Washington , D.C."},
    {"a.m. and p.m.", "a.m. and p.m."},
    {"What?! No... Yes!", "What ? ! No ... Yes !"},
    {"end.)", "end . )"},
    {"end.\" end.' end.'", "end . &quot; end . &apos; end . &apos;"},
    {"Das ist z.B. ein Test, d.h. eine Probe.", "Das ist z.B. ein Test , d.h. eine Probe ."},
    {"Am 3. Mai 2012 um 15.30 Uhr, am 99. Tag, am 100. Tag.",
     "Am 3. Mai 2012 um 15.30 Uhr , am 99. Tag , am 100 . Tag .",
     "Am 3 . Mai 2012 um 15.30 Uhr , am 99 . Tag , am 100 . Tag ."},
    {"Dr. M\xC3\xBCller u.s.w. usw. Und etc.", "Dr. M\xC3\xBCller u.s.w. usw. Und etc.",
     "Dr. M\xC3\xBCller u.s.w. usw . Und etc ."},
    {"1.000.000,50 \xE2\x82\xAC kosten 3,5 Mio. Euro bzw. Mrd. Dollar.",
     "1.000.000,50 \xE2\x82\xAC kosten 3,5 Mio. Euro bzw. Mrd. Dollar .",
     "1.000.000,50 \xE2\x82\xAC kosten 3,5 Mio . Euro bzw . Mrd . Dollar ."},
    {"Ich hab's, geht's? 'ne Stra\xC3\x9F"
     "e, Karl' Haus",
     "Ich hab &apos; s , geht &apos; s ? &apos; ne Stra\xC3\x9F"
     "e , Karl &apos; Haus",
     "Ich hab &apos;s , geht &apos;s ? &apos; ne Stra\xC3\x9F"
     "e , Karl &apos; Haus"},
    {"u.\xC3\xA4. \xC3\x9C"
     "bel. \xC3\xBC"
     "bel \xC3\x9C"
     "ber. \xC3\xBC"
     "ber",
     "u.\xC3\xA4. \xC3\x9C"
     "bel. \xC3\xBC"
     "bel \xC3\x9C"
     "ber. \xC3\xBC"
     "ber"},
    {"\xE2\x80\x9EJa\xE2\x80\x9C, sagte er \xE2\x80\x93 \xE2\x80\x9Anein\xE2\x80\x98 \xE2\x80\xA6 "
     "\xC2\xBBoder\xC2\xAB.",
     "\xE2\x80\x9E Ja \xE2\x80\x9C , sagte er \xE2\x80\x93 \xE2\x80\x9A nein \xE2\x80\x98 \xE2\x80\xA6 \xC2\xBB oder "
     "\xC2\xAB ."},
    {"c.-\xC3\xA0-d. Kap. XX. und xx. Ende", "c.-\xC3\xA0-d. Kap . XX. und xx. Ende",
     "c.-\xC3\xA0-d. Kap . XX. und xx . Ende"},
    {"St. Gallen Nr. sieben Nos. No. Ca. 5 ca. f\xC3\xBCnf", "St. Gallen Nr. sieben Nos. No. Ca. 5 ca. f\xC3\xBCnf",
     "St. Gallen Nr. sieben Nos. No . Ca . 5 ca. f\xC3\xBCnf"},
};

TEST(Moses, TokensAreThoseOfSacremoses) {
    const MosesTokenizer german("de"), english("en");
    for (const Line& line : kLines) {
        EXPECT_EQ(german.tokenize(line.text), line.german) << line.text;
        EXPECT_EQ(english.tokenize(line.text), line.english) << line.text;
    }
}

// The marks of tokens of dots are of the programs; here they are words like others.
TEST(Moses, DotsNeedNoMark) {
    EXPECT_EQ(MosesTokenizer("en").tokenize("a DOTMULTI... DOTDOTMULTI"), "a DOTMULTI ... DOTDOTMULTI");
}

TEST(Moses, EveryByteIsInTheTokens) {
    for (const MosesLanguage& language : moses_languages()) {
        const MosesTokenizer tokenizer(language.code);
        for (int first = 0x80; first < 0x100; ++first)
            for (int second : {0x00, 0x20, 0x2C, 0x61, 0x80, 0xBF, 0xFF}) {
                const std::string text{char(first), char(second)};
                EXPECT_EQ(tokenizer.tokenize(text).substr(0, 1), text.substr(0, 1)) << first << " " << second;
            }
    }
}

TEST(Moses, ClassesOfCharacters) {
    for (const uint32_t c : {uint32_t('a'), uint32_t('Z'), 0xE4u, 0x16EEu, 0x94Du, 0x1E94Au})
        EXPECT_TRUE(is_moses_alphanumeric(c) && is_moses_letter(c)) << c;
    for (const uint32_t c : {0u, uint32_t('_'), 0x2028u, 0x4E2Du, 0xAC00u, 0x1D400u, 0x1E94Bu, 0x10FFFFu, 0x1100FFu})
        EXPECT_FALSE(is_moses_alphanumeric(c) || is_moses_letter(c)) << c;
    EXPECT_TRUE(is_moses_alphanumeric('7') && !is_moses_letter('7') && is_moses_number('7'));
    EXPECT_TRUE(is_moses_number(0xBD) && !is_moses_alphanumeric(0xBD));
    EXPECT_TRUE(is_moses_lower(0x101) && !is_moses_lower(0x100) && is_moses_lower(0xDF) && !is_moses_lower(0x1100FF));
}

TEST(Moses, UnknownLanguagesAreRefused) {
    EXPECT_ERROR(MosesTokenizer("xx\xFF"), ErrorKind::usage, "known are: de, en");
    EXPECT_ERROR(MosesTokenizer(""), ErrorKind::usage, "does not know the language ''");
}

}  // namespace
}  // namespace lithe::tokenize
