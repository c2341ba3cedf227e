#include "lithe/tokenize/moses_languages.h"

#include "lithe/tokenize/moses_characters.h"

namespace lithe::tokenize {
namespace {

// Words of Moses' nonbreaking_prefix.de and .en (mosesdecoder, scripts/share), as sacremoses 0.1.1 reads them.
constexpr std::string_view kCapitals = "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z";
constexpr std::string_view kSmallLetters = "a b c d e f g h i j k l m n o p q r s t u v w x y z";
constexpr std::string_view kRomanNumbers =
    "II III IV VI VII VIII IX XI XII XIII XIV XV XVI XVII XVIII XIX XX ii iii iv vi vii viii ix xi xii xiii "
    "xiv xv xvi xvii xviii xix xx";
constexpr std::string_view kNumbers =
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 "
    "39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 "
    "74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95 96 97 98 99";
constexpr std::string_view kCommon =
    "Adj Adm Adv Asst Bart Bldg Brig Bros Capt Cmdr Col Comdr Con Corp Cpl DR Dr Ens Gen Gov Hon Hosp Insp Lt "
    "Maj Messrs Mlle MM Mme MR Mr MRS Mrs Ms MS Msgr Nos Nr Op Ord Pfc Ph Prof Pvt Rep Reps Res Rev Rt Sen "
    "Sens Sfc Sgt Sr St Supt Surg vs";
constexpr std::string_view kOnlyGerman =
    "Art b.A BSE Buchst bzgl bzw c.-\xC3\xA0-d ca Ca Chr Co D.h d.h d.J dergl dgl Dkr etc evtl ff g.g.A g.U ggf "
    "I.F i.H.v jun k.o Ltd m.E Mio Mrd MwSt No o.\xC3\xA4 pp s.p.a SA sen sog sogen spp Std u.a u.E u.s.w u.U "
    "u.\xC3\xA4 usf usw vgl z.B z.T z.Zt Zt zzt";
constexpr std::string_view kOnlyEnglish = "Apr Aug Dec Drs e.g Feb Hr i.e Jan Jul Jun Mar Nov Oct rev Rs Sep v";
constexpr std::string_view kBeforeNumbers = "No Art pp";

constexpr std::string_view kGerman[] = {kCapitals, kSmallLetters, kRomanNumbers, kNumbers, kCommon, kOnlyGerman};
constexpr std::string_view kEnglish[] = {kCapitals, kCommon, kOnlyEnglish};

bool is_letter_s(uint32_t c) { return c == 's'; }
bool is_no_letter(uint32_t c) { return !is_moses_letter(c); }
bool is_no_letter_or_number(uint32_t c) { return !is_moses_letter(c) && !is_moses_number(c); }

constexpr MosesRule kAlone[] = {{.middle = '\'', .put = U" ' "}};
// don't -> don 't, dogs' -> dogs ', 1990's -> 1990 's
constexpr MosesRule kContractions[] = {
    {.before = is_no_letter, .middle = '\'', .after = is_no_letter, .put = U" ' "},
    {.before = is_no_letter_or_number, .middle = '\'', .after = is_moses_letter, .put = U" ' "},
    {.before = is_moses_letter, .middle = '\'', .after = is_no_letter, .put = U" ' "},
    {.before = is_moses_letter, .middle = '\'', .after = is_moses_letter, .put = U" '"},
    {.before = is_moses_number, .middle = '\'', .after = is_letter_s, .put = U" '"}};

constexpr MosesLanguage kLanguages[] = {
    {.code = "de", .apostrophes = kAlone, .abbreviations = kGerman, .before_numbers = ""},
    {.code = "en", .apostrophes = kContractions, .abbreviations = kEnglish, .before_numbers = kBeforeNumbers}};

}  // namespace

std::span<const MosesLanguage> moses_languages() { return kLanguages; }

}  // namespace lithe::tokenize
