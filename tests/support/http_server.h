// A small HTTP server on the loopback interface that can misbehave on purpose.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace lithe::testing {

struct HttpAnswer {
    int status = 200;
    std::string body;
    std::vector<std::string> headers;
    int64_t claimed_length = -1;  // of the body; -1: the truth
    int64_t cut_after = -1;       // bytes of the body, then the connection closes
    int64_t stall_after = -1;     // bytes of the body, then silence
    bool ranges = true;           // answers requests for the rest of a file
};

class HttpServer {
 public:
    // `answer(path, number of the request for this path)`.
    explicit HttpServer(std::function<HttpAnswer(const std::string&, int)> answer) : answer_(std::move(answer)) {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 16) != 0)
            throw std::runtime_error("no loopback server");
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~HttpServer() {
        stopping_ = true;
        shutdown(listener_, SHUT_RDWR);
        close(listener_);
        thread_.join();
        for (std::thread& each : connections_) each.join();
    }
    std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
    std::vector<std::string> ranges() {  // of all requests, "" where none was asked for
        std::lock_guard lock(mutex_);
        return ranges_;
    }

 private:
    void serve() {
        for (;;) {
            const int connection = accept(listener_, nullptr, nullptr);
            if (connection < 0) return;
            connections_.emplace_back([this, connection] {
                handle(connection);
                close(connection);
            });
        }
    }
    void handle(int connection) {
        std::string request;
        char buffer[4096];
        while (request.find("\r\n\r\n") == std::string::npos) {
            const ssize_t count = recv(connection, buffer, sizeof buffer, 0);
            if (count <= 0) return;
            request.append(buffer, size_t(count));
        }
        const std::string path = request.substr(4, request.find(' ', 4) - 4);
        uint64_t from = 0;
        std::string range;
        if (const size_t at = request.find("Range: bytes="); at != std::string::npos) {
            range = request.substr(at + 13, request.find("\r\n", at) - at - 13);
            from = std::stoull(range);
        }
        int number = 0;
        {
            std::lock_guard lock(mutex_);
            number = requests_[path]++;
            ranges_.push_back(range);
        }
        HttpAnswer answer = answer_(path, number);
        std::string body = answer.body;
        const bool partial = answer.status == 200 && answer.ranges && !range.empty();
        if (partial && from >= body.size()) {
            answer.status = 416;
            body.clear();
        } else if (partial) {
            answer.status = 206;
            body = body.substr(from);
        }
        const uint64_t claimed = answer.claimed_length >= 0 ? uint64_t(answer.claimed_length) : body.size();
        std::string head = "HTTP/1.1 " + std::to_string(answer.status) +
                           " X\r\nConnection: close\r\nContent-Length: " + std::to_string(claimed) + "\r\n";
        if (answer.status == 206)
            head += "Content-Range: bytes " + std::to_string(from) + "-" + std::to_string(answer.body.size() - 1) +
                    "/" + std::to_string(answer.body.size()) + "\r\n";
        for (const std::string& header : answer.headers) head += header + "\r\n";
        send_all(connection, head + "\r\n");
        const int64_t end = answer.cut_after >= 0 ? answer.cut_after : answer.stall_after;
        if (end >= 0) body.resize(std::min(body.size(), size_t(end)));
        send_all(connection, body);
        while (answer.stall_after >= 0 && !stopping_) {  // until the other side goes
            usleep(10'000);
            if (recv(connection, buffer, sizeof buffer, MSG_DONTWAIT) == 0) return;
        }
    }
    static void send_all(int connection, const std::string& text) {
        for (size_t at = 0; at < text.size();) {
            const ssize_t count = send(connection, text.data() + at, text.size() - at, MSG_NOSIGNAL);
            if (count <= 0) return;
            at += size_t(count);
        }
    }
    std::function<HttpAnswer(const std::string&, int)> answer_;
    int listener_ = -1;
    uint16_t port_ = 0;
    std::atomic<bool> stopping_ = false;
    std::thread thread_;
    std::vector<std::thread> connections_;
    std::mutex mutex_;
    std::map<std::string, int> requests_;
    std::vector<std::string> ranges_;
};

}  // namespace lithe::testing
