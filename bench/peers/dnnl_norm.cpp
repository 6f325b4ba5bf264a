// dnnl_norm.cpp times oneDNN's layer and batch normalization (float32: its CPU
// engine has no float64 in version 2). One JSON object a line, keys as in
// torch_norm.py.
//
//   g++ -O2 -march=native -fopenmp -o dnnl_norm dnnl_norm.cpp -ldnnl
//   OMP_NUM_THREADS=1 ./dnnl_norm [-t seconds] [-f regex]...
//
// A filter is a regular expression on "name shape dtype pass"; if there are
// several all must match; fwdtrain is found as fwd too.
//
// All memory is allocated and touched before timing; a sample is one
// execute + wait (several for short cases). Passes:
//   fwd      forward_inference with the statistics computed (layer norm), or
//            given (batchnorm *_eval)
//   fwdtrain forward_training: also writes mean and variance
//   bwd      backward: input, scale and shift gradients
//   fwdbwd   fwdtrain then bwd
#include <dnnl.hpp>
#include <omp.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <regex>
#include <string>
#include <unordered_map>
#include <vector>

using namespace dnnl;
using dims = memory::dims;
using args_t = std::unordered_map<int, memory>;

static double secs = 0.25;
static std::vector<std::regex> filters;
static int threads = 1;

static double now_us() {
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static const char *system_name = "onednn";

static std::string shape_of(const dims &s, const char *separator) {
    std::string out;
    for (auto d : s) out += (out.empty() ? "" : separator) + std::to_string(d);
    return out;
}

static bool wanted(const std::string &name, const dims &s, const std::string &pass) {
    std::string key = name + " " + shape_of(s, "x") + " float32 " + (pass == "fwdtrain" ? "fwd" : pass);
    for (auto &f : filters)
        if (!std::regex_search(key, f)) return false;
    return true;
}

// any says whether a case has a pass to be timed.
static bool any(const std::string &name, const dims &s) {
    return wanted(name, s, "fwd") || wanted(name, s, "bwd") || wanted(name, s, "fwdbwd");
}

static void emit(const std::string &name, const dims &s, const char *pass, double bytes, const char *impl,
        const std::function<void()> &fn) {
    if (!wanted(name, s, pass)) return;
    for (int i = 0; i < 4; i++) fn();
    double w, one = 1e18;
    for (int i = 0; i < 3; i++) { // the lowest: a pause must not decide
        w = now_us();
        fn();
        one = std::min(one, now_us() - w);
    }
    int inner = one > 40 ? 1 : int(80 / (one + 0.2)) + 1;
    std::vector<double> v;
    double end = now_us() + secs * 1e6;
    while ((now_us() < end || v.size() < 11) && v.size() < 3000) {
        w = now_us();
        for (int i = 0; i < inner; i++) fn();
        v.push_back((now_us() - w) / inner);
    }
    std::sort(v.begin(), v.end());
    double med = v[v.size() / 2];
    printf("{\"system\":\"%s\",\"name\":\"%s\",\"shape\":[%s],\"dtype\":\"float32\",\"threads\":%d,\"pass\":\"%s\","
           "\"median_us\":%.3f,\"p10\":%.3f,\"p90\":%.3f,\"min_us\":%.3f,\"n\":%zu,\"inner\":%d,"
           "\"bytes_moved_min\":%.0f,\"GBps\":%.2f,\"impl\":\"%s\"}\n",
            system_name, name.c_str(), shape_of(s, ",").c_str(), threads, pass, med, v[v.size() / 10], v[v.size() * 9 / 10], v[0],
            v.size(), inner, bytes, bytes / med * 1e-3, impl);
    fflush(stdout);
}

static memory mk(const engine &e, const memory::desc &d) {
    memory m(d, e);
    float *p = (float *)m.get_data_handle();
    size_t n = d.get_size() / sizeof(float);
    unsigned r = 12345;
    for (size_t i = 0; i < n; i++) {
        r = r * 1664525u + 1013904223u;
        p[i] = (float)(r >> 8) / (1 << 23) - 1.0f;
    }
    return m;
}

static void layernorm(engine &e, stream &st, const dims &s) {
    if (!any("layernorm", s)) return;
    auto tag = s.size() == 2 ? memory::format_tag::ab : memory::format_tag::abc;
    memory::desc md(s, memory::data_type::f32, tag);
    memory::desc wd({s.back()}, memory::data_type::f32, memory::format_tag::a);
    auto fl = normalization_flags::use_scale | normalization_flags::use_shift;
    auto inf = layer_normalization_forward::primitive_desc({prop_kind::forward_inference, md, 1e-5f, fl}, e);
    auto trn = layer_normalization_forward::primitive_desc({prop_kind::forward_training, md, 1e-5f, fl}, e);
    auto bwd = layer_normalization_backward::primitive_desc({prop_kind::backward, md, md, 1e-5f, fl}, e, trn);
    memory x = mk(e, md), y = mk(e, md), dy = mk(e, md), dx = mk(e, md);
    memory w = mk(e, wd), b = mk(e, wd), dw = mk(e, wd), db = mk(e, wd);
    memory mu = mk(e, trn.mean_desc()), va = mk(e, trn.variance_desc());
    layer_normalization_forward pi(inf), pt(trn);
    layer_normalization_backward pb(bwd);
    args_t ai {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, y}, {DNNL_ARG_SCALE, w}, {DNNL_ARG_SHIFT, b}};
    args_t at = ai;
    at.insert({{DNNL_ARG_MEAN, mu}, {DNNL_ARG_VARIANCE, va}});
    args_t ab {{DNNL_ARG_SRC, x}, {DNNL_ARG_DIFF_DST, dy}, {DNNL_ARG_DIFF_SRC, dx}, {DNNL_ARG_SCALE, w},
            {DNNL_ARG_SHIFT, b}, {DNNL_ARG_MEAN, mu}, {DNNL_ARG_VARIANCE, va}, {DNNL_ARG_DIFF_SCALE, dw},
            {DNNL_ARG_DIFF_SHIFT, db}};
    double nb = (double)md.get_size();
    emit("layernorm", s, "fwd", 2 * nb, inf.impl_info_str(), [&] { pi.execute(st, ai); st.wait(); });
    emit("layernorm", s, "fwdtrain", 2 * nb, trn.impl_info_str(), [&] { pt.execute(st, at); st.wait(); });
    pt.execute(st, at);
    emit("layernorm", s, "bwd", 3 * nb, bwd.impl_info_str(), [&] { pb.execute(st, ab); st.wait(); });
    emit("layernorm", s, "fwdbwd", 5 * nb, bwd.impl_info_str(), [&] { pt.execute(st, at); pb.execute(st, ab); st.wait(); });
}

// pixels sees a matrix N x C as one image of N pixels with C interleaved
// channels, the same bytes, for which oneDNN has a better kernel.
static void batchnorm(engine &e, stream &st, const dims &s, bool pixels) {
    auto tag = s.size() == 2 ? memory::format_tag::ab : memory::format_tag::abcd;
    std::string base = s.size() == 2 ? "batchnorm1d" : "batchnorm2d";
    if (!any(base + "_train", s) && !any(base + "_eval", s)) return;
    dims ls = s;
    system_name = "onednn";
    if (pixels) {
        ls = {1, s[1], s[0], 1};
        tag = memory::format_tag::nhwc;
        system_name = "onednn-nhwc";
    }
    memory::desc md(ls, memory::data_type::f32, tag);
    memory::desc wd({s[1]}, memory::data_type::f32, memory::format_tag::a);
    auto fl = normalization_flags::use_scale | normalization_flags::use_shift;
    auto inf = batch_normalization_forward::primitive_desc(
            {prop_kind::forward_inference, md, 1e-5f, fl | normalization_flags::use_global_stats}, e);
    auto trn = batch_normalization_forward::primitive_desc({prop_kind::forward_training, md, 1e-5f, fl}, e);
    auto bwd = batch_normalization_backward::primitive_desc({prop_kind::backward, md, md, 1e-5f, fl}, e, trn);
    memory x = mk(e, md), y = mk(e, md), dy = mk(e, md), dx = mk(e, md);
    memory w = mk(e, wd), b = mk(e, wd), dw = mk(e, wd), db = mk(e, wd);
    memory mu = mk(e, trn.mean_desc()), va = mk(e, trn.variance_desc());
    batch_normalization_forward pi(inf), pt(trn);
    batch_normalization_backward pb(bwd);
    args_t at {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, y}, {DNNL_ARG_SCALE, w}, {DNNL_ARG_SHIFT, b}, {DNNL_ARG_MEAN, mu},
            {DNNL_ARG_VARIANCE, va}};
    args_t ab {{DNNL_ARG_SRC, x}, {DNNL_ARG_DIFF_DST, dy}, {DNNL_ARG_DIFF_SRC, dx}, {DNNL_ARG_SCALE, w},
            {DNNL_ARG_SHIFT, b}, {DNNL_ARG_MEAN, mu}, {DNNL_ARG_VARIANCE, va}, {DNNL_ARG_DIFF_SCALE, dw},
            {DNNL_ARG_DIFF_SHIFT, db}};
    double nb = (double)md.get_size();
    pt.execute(st, at);
    emit(base + "_eval", s, "fwd", 2 * nb, inf.impl_info_str(), [&] { pi.execute(st, at); st.wait(); });
    emit(base + "_train", s, "fwdtrain", 2 * nb, trn.impl_info_str(), [&] { pt.execute(st, at); st.wait(); });
    emit(base + "_train", s, "bwd", 3 * nb, bwd.impl_info_str(), [&] { pb.execute(st, ab); st.wait(); });
    emit(base + "_train", s, "fwdbwd", 5 * nb, bwd.impl_info_str(), [&] { pt.execute(st, at); pb.execute(st, ab); st.wait(); });
}

int main(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "-t")) secs = atof(argv[i + 1]);
        if (!strcmp(argv[i], "-f")) filters.emplace_back(argv[i + 1]);
    }
    threads = omp_get_max_threads();
    engine e(engine::kind::cpu, 0);
    stream st(e);
    for (auto &s : std::vector<dims> {{32, 64}, {128, 256}, {512, 768}, {4096, 1024}, {8192, 4096}, {64, 128, 768}})
        layernorm(e, st, s);
    for (auto &s : std::vector<dims> {{64, 200}, {512, 1024}, {8192, 512}, {65536, 256}})
        for (bool pixels : {false, true}) batchnorm(e, st, s, pixels);
    for (auto &s : std::vector<dims> {{32, 64, 56, 56}, {64, 256, 14, 14}, {16, 3, 224, 224}}) batchnorm(e, st, s, false);
}
