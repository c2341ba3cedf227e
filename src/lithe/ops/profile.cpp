#include "lithe/ops/profile.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>

namespace lithe::ops {
namespace {

double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::atomic<double (*)()> clock_of_profiles{steady_seconds};

double now() { return clock_of_profiles.load(std::memory_order_relaxed)(); }

struct Open {
    std::string name, phase;
    double start = 0;
    double inside = 0, flops = 0, bytes = 0;
};

using Rows = std::map<std::pair<std::string, std::string>, ProfileRow>;  // by phase and name

struct Session {
    std::vector<Open> open;
    Rows rows;
};

thread_local std::unique_ptr<Session> session;

bool has(const std::string& name, std::initializer_list<const char*> words) {
    return std::any_of(words.begin(), words.end(),
                       [&](const char* word) { return name.find(word) != std::string::npos; });
}

// Phases that a scope gives to all that runs inside.
std::string phase_of_scope(const std::string& name) {
    if (has(name, {"lithe::optimizer", "lithe::gradients"})) return "optimizer";
    return has(name, {"lithe::data"}) ? "data" : "";
}

std::string phase_of(const std::string& name) {
    if (has(name, {"attention", "softmax"})) return "attention";
    if (has(name, {"lithe::recurrence", "lithe::lstm", "lithe::gru", "lithe::atr", "lithe::slstm",
                   "lithe::diagonal_state", "lithe::short_convolution", "lithe::matrix_state"}))
        return "recurrence";
    if (has(name, {"cross_entropy"})) return "loss";
    if (has(name, {"norm"})) return "norm";
    if (has(name, {"dropout"})) return "dropout";
    if (has(name, {"aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::mkldnn_linear", "_cudnn_rnn"}))
        return "matrix products";
    if (name.rfind("aten::", 0) != 0 || has(name, {"aten::linear", "aten::matmul", "view", "reshape", "transpose",
                                                   "narrow", "detach", "aten::t", "as_strided", "aten::empty"}))
        return "other";
    return "element-wise";
}

// FLOPs of a matrix product; its sizes, rows x summed x columns, are added to the name.
double product_flops(std::string& name, c10::ArrayRef<const c10::IValue> inputs) {
    const size_t first = has(name, {"addmm", "baddbmm"}) ? 1 : 0;
    if (!has(name, {"aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "mkldnn_linear"}) ||
        inputs.size() < first + 2 || !inputs[first].isTensor() || !inputs[first + 1].isTensor())
        return 0;
    const Tensor &a = inputs[first].toTensor(), &b = inputs[first + 1].toTensor();
    const int64_t columns = name == "aten::mkldnn_linear" ? b.size(0) : b.size(-1), sum = a.size(-1);
    name += " " + std::to_string(a.numel() / std::max<int64_t>(1, sum)) + "x" + std::to_string(sum) + "x" +
            std::to_string(columns);
    return 2 * double(a.numel()) * double(columns);
}

template <class Values> double bytes_of(const Values& values) {
    double bytes = 0;
    for (const c10::IValue& value : values)
        if (value.isTensor() && value.toTensor().defined() && value.toTensor().layout() == at::kStrided)
            bytes += double(value.toTensor().nbytes());
    return bytes;
}

void add(Rows& rows, const ProfileRow& more) {
    ProfileRow& row = rows[{more.phase, more.name}];
    row.phase = more.phase;
    row.name = more.name;
    row.calls += more.calls;
    row.seconds += more.seconds;
    row.flops += more.flops;
    row.bytes += more.bytes;
}

void begin(const std::string& name, double flops, double bytes) {
    Session& s = *session;
    std::string phase = phase_of_scope(name);
    if (phase.empty() && !s.open.empty() && (s.open.back().phase == "optimizer" || s.open.back().phase == "data"))
        phase = s.open.back().phase;
    if (phase.empty()) phase = phase_of(name);
    s.open.push_back({name, phase, now(), 0, flops, bytes});
}

void end(double bytes) {
    Session& s = *session;
    if (s.open.empty()) return;
    Open done = std::move(s.open.back());
    s.open.pop_back();
    const double seconds = now() - done.start;
    if (!s.open.empty()) s.open.back().inside += seconds;
    add(s.rows, {done.phase, done.name, 1, seconds - done.inside, done.flops, done.bytes + bytes});
}

std::unique_ptr<at::ObserverContext> on_start(const at::RecordFunction& function) {
    if (!session) return nullptr;
    std::string name = function.name();
    const auto inputs = function.inputs();
    const double flops = product_flops(name, inputs);
    begin(name, flops, bytes_of(inputs));
    return nullptr;
}

void on_end(const at::RecordFunction& function, at::ObserverContext*) {
    if (session) end(bytes_of(function.outputs()));
}

uint64_t listen() {
    return at::addThreadLocalCallback(at::RecordFunctionCallback(on_start, on_end)
                                          .needsInputs(true)
                                          .needsOutputs(true)
                                          .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
}

}  // namespace

Profiler::Profiler() {
    session = std::make_unique<Session>();
    handle_ = listen();
}

Profiler::~Profiler() {
    at::removeCallback(handle_);
    session.reset();
}

std::vector<ProfileRow> Profiler::rows() const {
    std::vector<ProfileRow> rows;
    for (const auto& [key, row] : session->rows) rows.push_back(row);
    std::sort(rows.begin(), rows.end(), [](const ProfileRow& a, const ProfileRow& b) { return a.seconds > b.seconds; });
    return rows;
}

struct ProfileGather::Gathered {
    std::unique_ptr<Session> outer = std::move(session);  // of the thread that waits, which may do a part itself
    std::thread::id waiting = std::this_thread::get_id();
    double start = now();
    double threads = 1;
    std::mutex mutex;
    Rows rows;
};

ProfileGather::ProfileGather(int64_t threads) {
    if (!session) return;
    gathered_ = std::make_unique<Gathered>();
    gathered_->threads = double(std::max<int64_t>(1, threads));
}

ProfileGather::~ProfileGather() {
    if (!gathered_) return;
    const double wall = now() - gathered_->start;
    double busy = 0;
    session = std::move(gathered_->outer);
    for (auto& [key, row] : gathered_->rows) {
        row.seconds /= gathered_->threads;
        busy += row.seconds;
        add(session->rows, row);
    }
    add(session->rows, {"other", "waiting for the other threads", 1, std::max(0.0, wall - busy), 0, 0});
    if (!session->open.empty()) session->open.back().inside += wall;
}

ProfileGather::Thread::Thread(ProfileGather& gather) : gather_(gather) {
    if (!gather.gathered_) return;
    session = std::make_unique<Session>();
    if (std::this_thread::get_id() != gather.gathered_->waiting) listening_ = listen();  // that one listens already
}

ProfileGather::Thread::~Thread() {
    if (!gather_.gathered_) return;
    if (listening_) at::removeCallback(*listening_);
    const std::unique_ptr<Session> done = std::move(session);
    const std::lock_guard lock(gather_.gathered_->mutex);
    for (const auto& [key, row] : done->rows) add(gather_.gathered_->rows, row);
}

void set_profile_clock(double (*seconds)()) { clock_of_profiles = seconds ? seconds : steady_seconds; }

bool profiling() { return session != nullptr; }

ProfileScope::ProfileScope(const char* name) : active_(profiling()) {
    if (active_) begin(name, 0, 0);
}
ProfileScope::~ProfileScope() {
    if (active_ && session) end(0);
}

void add_work(double flops, double bytes) {
    if (!session || session->open.empty()) return;
    session->open.back().flops += flops;
    session->open.back().bytes += bytes;
}

}  // namespace lithe::ops
