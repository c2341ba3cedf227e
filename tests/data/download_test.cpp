#include "lithe/data/download.h"

#include "lithe/data/datasets.h"
#include "support/archives.h"
#include "support/errors.h"
#include "support/files.h"
#include "support/http_server.h"

namespace lithe {
namespace {

using testing::HttpAnswer;
using testing::HttpServer;

class Download : public ::testing::Test {
 protected:
    std::string content = testing::sample_text(300'000);
    testing::TemporaryFolder folder;
    DownloadOptions options{
        .folder = folder.file("downloads"), .stall_seconds = 1, .tries = 3, .pause_seconds = 0.01, .progress = false};

    RemoteFile file(std::vector<std::string> urls) {
        return {"f.txt", std::move(urls), content.size(), digest_of(folder.write("reference", content))};
    }
    void expect_content(const std::string& path) {
        EXPECT_TRUE(testing::read_all(path) == content);
        EXPECT_FALSE(std::filesystem::exists(path + ".part"));
    }
};

TEST_F(Download, DigestsAreThoseOfTheStandard) {
    const std::string path = folder.write("abc", "abc");
    EXPECT_EQ(digest_of(path), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(digest_of(path, "md5:x"), "md5:900150983cd24fb0d6963f7d28e17f72");
    EXPECT_EQ(digest_of(path, "sha1:"), "sha1:a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST_F(Download, ComesAndIsNotFetchedTwice) {
    HttpServer server([&](const std::string&, int) { return HttpAnswer{.body = content}; });
    expect_content(download(file({server.url("/f.txt")}), options));
    expect_content(download(file({server.url("/f.txt")}), options));
    EXPECT_EQ(server.ranges().size(), 1u);
}

TEST_F(Download, GoesOnAfterCutsAndStalls) {
    HttpServer server([&](const std::string&, int number) {
        HttpAnswer answer{.body = content};
        if (number == 0) answer.cut_after = 100'000;
        if (number == 1) answer.stall_after = 50'000;
        return answer;
    });
    expect_content(download(file({server.url("/f.txt")}), options));
    EXPECT_EQ(server.ranges(), (std::vector<std::string>{"", "100000-", "150000-"}));
}

// The part of an earlier start is used; a server without ranges sends everything anew.
TEST_F(Download, UsesWhatIsThere) {
    folder.write("downloads/f.txt.part", content.substr(0, 7000));
    HttpServer server(
        [&](const std::string& path, int) { return HttpAnswer{.body = content, .ranges = path == "/ranges"}; });
    expect_content(download(file({server.url("/ranges")}), options));
    std::filesystem::remove(folder.file("downloads/f.txt"));
    folder.write("downloads/f.txt.part", content.substr(0, 7000));
    expect_content(download(file({server.url("/plain")}), options));
    EXPECT_EQ(server.ranges(), (std::vector<std::string>{"7000-", "7000-", ""}));
    // a part that is complete already
    std::filesystem::remove(folder.file("downloads/f.txt"));
    folder.write("downloads/f.txt.part", content);
    expect_content(download(file({server.url("/ranges")}), options));
}

TEST_F(Download, FollowsRedirectsToHttpOnly) {
    HttpServer server([&](const std::string& path, int) {
        if (path == "/here") return HttpAnswer{.status = 302, .headers = {"Location: /there"}};
        if (path == "/file") return HttpAnswer{.status = 302, .headers = {"Location: file:///etc/passwd"}};
        if (path == "/circle") return HttpAnswer{.status = 302, .headers = {"Location: /circle"}};
        return HttpAnswer{.body = content};
    });
    EXPECT_ERROR(download(file({server.url("/file")}), options), ErrorKind::bad_file, "cannot download f.txt");
    EXPECT_ERROR(download(file({server.url("/circle")}), options), ErrorKind::bad_file, "redirects");
    expect_content(download(file({server.url("/here")}), options));
}

TEST_F(Download, NextMirrorWhenOneFails) {
    HttpServer server([&](const std::string& path, int) {
        if (path == "/gone") return HttpAnswer{.status = 404};
        if (path == "/other") return HttpAnswer{.body = std::string(content.size(), 'x')};
        if (path == "/long") return HttpAnswer{.body = content + "more"};
        if (path == "/short") return HttpAnswer{.body = content.substr(0, 1000)};
        return HttpAnswer{.body = content};
    });
    expect_content(download(file({"http://127.0.0.1:1/", server.url("/gone"), server.url("/other"), server.url("/long"),
                                  server.url("/short"), server.url("/good")}),
                            options));
    EXPECT_GE(server.ranges().size(), 5u);
}

// A server that claims more than it sends, less than it sends, or another size than the table.
TEST_F(Download, LiesAboutTheSizeAreNoticed) {
    HttpServer server([&](const std::string& path, int) {
        HttpAnswer answer{.body = content};
        if (path == "/more") {
            answer.claimed_length = int64_t(content.size()) + 1000;
            answer.ranges = false;
        }
        if (path == "/less") {
            answer.claimed_length = 1000;
            answer.ranges = false;
        }
        return answer;
    });
    RemoteFile unknown = file({server.url("/more")});
    unknown.size = 0;
    EXPECT_ERROR(download(unknown, options), ErrorKind::bad_file, "the transfer was cut off after");
    EXPECT_ERROR(download(file({server.url("/less")}), options), ErrorKind::bad_file,
                 "it ends after 1000 of the expected 300000 bytes");
}

TEST_F(Download, OfflineSaysWhereToPutTheFile) {
    EXPECT_ERROR(download(file({"http://127.0.0.1:1/f.txt"}), options), ErrorKind::bad_file,
                 "put it at " + folder.file("downloads/f.txt"));
    folder.write("downloads/f.txt", content);
    expect_content(download(file({"http://127.0.0.1:1/f.txt"}), options));
    folder.write("downloads/f.txt", content + "x");
    EXPECT_ERROR(download(file({"http://127.0.0.1:1/f.txt"}), options), ErrorKind::bad_file, "expected 300000");
}

TEST_F(Download, DatasetsAreSplitTheConventionalWay) {
    std::string wiki = folder.file("wikitext-2-v1.zip");
    testing::write_archive(wiki, {{"wikitext-2/wiki.train.tokens", " = A = \n"},
                                  {"wikitext-2/wiki.valid.tokens", "v\n"},
                                  {"wikitext-2/wiki.test.tokens", "t\n"}});
    testing::write_archive(folder.file("enwik8.zip"), {{"enwik8", content}});
    HttpServer server(
        [&](const std::string& path, int) { return HttpAnswer{.body = testing::read_all(folder.path() + path)}; });
    auto install = [&](const std::string& name) {
        Dataset dataset = find_dataset(name);
        for (RemoteFile& file : dataset.files) {
            file.urls.clear();
            file.size = 0;
            file.digest = digest_of(folder.file(file.name));
        }
        for (DatasetPart& part : dataset.parts) part.digest = "";
        return install_dataset(dataset, folder.file(name), {server.url("/")}, options);
    };
    EXPECT_EQ(install("wikitext-2"), (std::vector<std::string>{"test.txt", "train.txt", "valid.txt"}));
    EXPECT_EQ(testing::read_all(folder.file("wikitext-2/train.txt")), " = A = \n");
    install("enwik8");
    EXPECT_EQ(testing::read_all(folder.file("enwik8/train.txt")) + testing::read_all(folder.file("enwik8/valid.txt")) +
                  testing::read_all(folder.file("enwik8/test.txt")),
              content);
    EXPECT_EQ(testing::read_all(folder.file("enwik8/valid.txt")).size(), 15'000u);
    EXPECT_FALSE(std::filesystem::exists(folder.file("enwik8/downloads")));
    // complete: nothing is fetched again
    const size_t requests = server.ranges().size();
    EXPECT_EQ(install("enwik8").size(), 3u);
    EXPECT_EQ(server.ranges().size(), requests);
    EXPECT_ERROR(find_dataset("enwik9"), ErrorKind::usage, "did you mean 'enwik8'");
    EXPECT_ERROR(install_dataset(find_dataset("text8"), folder.file("enwik8"), {}, options), ErrorKind::usage,
                 "holds another data set");
    // what lies in the folder already stays
    folder.write("home/train.txt", "my own");
    folder.write("home/downloads/thesis.pdf", "my own");
    Dataset small = find_dataset("wikitext-2");
    small.files[0].size = 0;
    small.files[0].digest = digest_of(wiki);
    EXPECT_ERROR(install_dataset(small, folder.file("home"), {server.url("/")}, options), ErrorKind::usage,
                 "the folder holds a file train.txt that is not of this data set");
    EXPECT_EQ(testing::read_all(folder.file("home/train.txt")), "my own");
    std::filesystem::remove(folder.file("home/train.txt"));
    install_dataset(small, folder.file("home"), {server.url("/")}, options);
    EXPECT_EQ(testing::read_all(folder.file("home/downloads/thesis.pdf")), "my own");
    EXPECT_FALSE(std::filesystem::exists(folder.file("home/downloads/" + small.files[0].name)));
    // put there by hand: only read
    folder.write("hand/downloads/" + small.files[0].name, testing::read_all(wiki));
    install_dataset(small, folder.file("hand"), {}, options);
    EXPECT_EQ(testing::read_all(folder.file("hand/downloads/" + small.files[0].name)), testing::read_all(wiki));
    // killed before the end: what it had moved into place is its own
    folder.write("killed/SOURCE.json", "{\"name\":\"wikitext-2\",\"downloaded\":[\"../precious\"]}");
    folder.write("killed/train.txt", "half");
    folder.write("killed/precious", "my own");
    install_dataset(small, folder.file("killed"), {server.url("/")}, options);
    EXPECT_EQ(testing::read_all(folder.file("killed/train.txt")), " = A = \n");
    EXPECT_TRUE(std::filesystem::exists(folder.file("killed/precious")));
}

TEST_F(Download, RedirectsNeverLeaveHttps) {
    for (const char* safe : {"https://a/b", "HTTPS://a/b"}) EXPECT_STREQ(allowed_redirects(safe), "https");
    EXPECT_STREQ(allowed_redirects("http://a/https:"), "http,https");
}

TEST_F(Download, MoreThanTheLimitIsRefused) {
    HttpServer server([&](const std::string&, int) { return HttpAnswer{.body = content}; });
    RemoteFile unknown = file({server.url("/f.txt")});
    unknown.size = 0;
    unknown.digest = "";
    unknown.limit = content.size() - 1;
    EXPECT_ERROR(download(unknown, options), ErrorKind::bad_file, "it is longer than 299999 bytes");
    EXPECT_FALSE(std::filesystem::exists(folder.file("downloads/f.txt.part")));
    unknown.limit = content.size();
    expect_content(download(unknown, options));
}

// The text is checked where no digest of the packed file is known.
TEST_F(Download, ATextThatIsNotTheExpectedOneIsNotUsed) {
    testing::write_archive(folder.file("enwik8.zip"), {{"enwik8", content}});
    folder.write("reference", content);
    HttpServer server(
        [&](const std::string& path, int) { return HttpAnswer{.body = testing::read_all(folder.path() + path)}; });
    Dataset dataset = find_dataset("enwik8");
    dataset.files[0].urls.clear();
    dataset.files[0].size = 0;
    EXPECT_ERROR(install_dataset(dataset, folder.file("a"), {server.url("/")}, options), ErrorKind::bad_file,
                 "md5:a1fa5ffddb56f4953e226637dabbb36a");
    EXPECT_FALSE(std::filesystem::exists(folder.file("a/train.txt")));
    dataset.parts[0].digest = digest_of(folder.file("reference"), "md5:");
    install_dataset(dataset, folder.file("b"), {server.url("/")}, options);
    EXPECT_TRUE(std::filesystem::exists(folder.file("b/train.txt")));
}

// The name of the folder may hold what stands for it.
TEST_F(Download, TheSettingsOfADataSetNameItsFolder) {
    EXPECT_EQ(
        settings_for(find_dataset("shakespeare"), "a/DIR/DIRECTORY"),
        (std::vector<std::string>{"data.train=a/DIR/DIRECTORY/train.txt", "data.valid=a/DIR/DIRECTORY/valid.txt"}));
}

TEST_F(Download, TheTableIsWhole) {
    for (const Dataset& dataset : datasets()) {
        EXPECT_FALSE(dataset.license.empty() || dataset.files.empty() || dataset.parts.empty()) << dataset.name;
        for (const RemoteFile& file : dataset.files) {
            EXPECT_FALSE(file.urls.empty()) << file.name;
            EXPECT_TRUE(file.size > 0 || file.limit > 0) << file.name << ": a server could fill the disk";
            const auto is_plain = [](const std::string& url) { return url.rfind("https://", 0) != 0; };
            EXPECT_FALSE(is_plain(file.urls[0])) << file.name;
            const bool checked = !file.digest.empty() ||
                                 std::all_of(dataset.parts.begin(), dataset.parts.end(), [&](const DatasetPart& part) {
                                     return part.file != file.name || !part.digest.empty();
                                 });
            EXPECT_TRUE(checked || std::none_of(file.urls.begin(), file.urls.end(), is_plain)) << file.name;
            const std::string kind = file.digest.substr(0, file.digest.find(':'));
            const size_t length = kind == "sha256" ? 64 : kind == "sha1" ? 40 : kind == "md5" ? 32 : 0;
            EXPECT_EQ(file.digest.size(), length ? kind.size() + 1 + length : 0u) << file.name;
        }
        for (const DatasetPart& part : dataset.parts)
            EXPECT_TRUE(std::any_of(dataset.files.begin(), dataset.files.end(), [&](const RemoteFile& file) {
                return file.name == part.file;
            })) << part.file;
    }
}

}  // namespace
}  // namespace lithe
