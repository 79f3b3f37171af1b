// Throws and catches, for Tests/Benchmarks/throws: prints the nanoseconds of each pair, a line a case.
// throws COUNT

#include <dlfcn.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

struct Options {  // struct granite_capture_options
    int page, socket;
    uint32_t level, park, serve;
    size_t stack, crashed;
};

#define KEPT __attribute__((noinline))
#define STAY __asm__ volatile("" ::: "memory")

KEPT static void fail(int number) {
    if (number & 1) throw std::runtime_error("failed");
    throw number;
}

KEPT static void failBelow(int number, int depth) {
    if (depth == 0) fail(number);
    else failBelow(number, depth - 1);
    STAY;
}

KEPT static int near(int number) {
    try {
        fail(1);
    } catch (const std::runtime_error &) {
        return 1;
    }
    return number;
}

KEPT static int two(int number) {
    try {
        fail(number);
    } catch (const std::runtime_error &) {
        return 1;
    } catch (int) {
        return 1;
    }
    return 0;
}

KEPT static int deep(int number) {
    try {
        failBelow(1, 20);
    } catch (const std::runtime_error &) {
        return 1;
    }
    return number;
}

KEPT static int again(int number) {
    try {
        try {
            fail(1);
        } catch (...) {
            throw;
        }
    } catch (const std::runtime_error &) {
        return 1;
    }
    return number;
}

static void measure(const char *name, int (*pair)(int), int count) {
    auto start = std::chrono::steady_clock::now();
    int caught = 0;
    for (int i = 0; i < count; i++) caught += pair(i);
    std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
    if (caught != count) exit(1);
    printf("%s %.1f\n", name, time.count() / count);
}

int main(int words, char **values) {
    auto install = (int (*)(const Options *))dlsym(RTLD_DEFAULT, "granite_capture_install");
    Options options{-1, -1, 2, 0, 0, 0, 0};
    if (install && install(&options) != 0) return 1;
    int count = words > 1 ? atoi(values[1]) : 100000;
    measure("near", near, count);
    measure("two", two, count);
    measure("deep", deep, count);
    measure("again", again, count);
}
