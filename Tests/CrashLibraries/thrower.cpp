// A program that throws, under the preloaded library: what is noted, and that nothing changes for it. One case a run.
// thrower CASE [LIBRARY]: descriptor 10 is the crash page, 11 the memory socket.

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>

#define KEPT __attribute__((noinline))
#define STAY __asm__ volatile("" ::: "memory")

namespace app {

struct Options {  // struct granite_capture_options
    int page, socket;
    uint32_t level, park, serve;
    size_t stack, crashed;
};

struct Failed : std::runtime_error {
    int code;
    explicit Failed(int code) : std::runtime_error("failed"), code(code) {}
};

struct Counter {
    static int alive;
    Counter() { alive++; }
    Counter(const Counter &) { alive++; }
    ~Counter() { alive--; }
};
int Counter::alive = 0;

KEPT void fail(int code) {
    throw Failed(code);
}

KEPT void failLocally(int code) {
    Counter local;
    fail(code);
    STAY;
}

KEPT void throwNumber() { throw 7; }

KEPT void keepPromise() noexcept {
    failLocally(3);
    STAY;
}

KEPT void catchAndThrowAgain() {
    try {
        fail(4);
    } catch (...) {
        try {
            throwNumber();
        } catch (int) {
        }
        throw;
    }
}

KEPT void getFromFuture() {
    auto future = std::async(std::launch::async, [] {
        fail(5);
        return 1;
    });
    future.get();
    STAY;
}

KEPT void abortAfterCatching() {
    try {
        fail(6);
    } catch (const Failed &) {
        abort();
    }
}

int failures = 0;
void expect(bool holds, const char *what) {
    if (holds) return;
    failures++;
    fprintf(stderr, "not so: %s\n", what);
}

int catchOne(int i) {
    try {
        Counter local;
        switch (i % 4) {
        case 0: fail(i);
        case 1: failLocally(i);
        case 2: throw i;
        default: throw std::string("text");
        }
    } catch (const Failed &failed) {
        return failed.code == i;
    } catch (int number) {
        return number == i;
    } catch (const std::string &text) {
        return text == "text";
    }
    return 0;
}

void throwMany(int count) {
    int right = 0;
    for (int i = 0; i < count; i++) right += catchOne(i);
    expect(right == count, "every exception is caught by its own type, with its value");
    expect(Counter::alive == 0, "all locals are destroyed");
    expect(std::uncaught_exceptions() == 0, "none is on its way");
}

void nest() {
    try {
        try {
            fail(8);
        } catch (...) {
            std::throw_with_nested(std::logic_error("outer"));
        }
    } catch (const std::logic_error &outer) {
        try {
            std::rethrow_if_nested(outer);
            expect(false, "there is an inner one");
        } catch (const Failed &inner) {
            expect(inner.code == 8, "the inner one is the first");
        }
    }
    struct Thrower {
        ~Thrower() {
            try {
                throwNumber();
            } catch (int) {
            }
        }
    };
    try {
        Thrower thrower;
        fail(9);
    } catch (const Failed &failed) {
        expect(failed.code == 9, "one that is thrown and caught during unwinding changes nothing");
    }
}

void *waitForever(void *unwound) {
    struct Note {
        void *note;
        ~Note() { *(int *)note = 1; }
    } note{unwound};
    try {
        for (;;) pause();
    } catch (...) {
        throw;  // forced unwinding must go on
    }
}

void *leave(void *unwound) {
    struct Note {
        void *note;
        ~Note() { *(int *)note = 1; }
    } note{unwound};
    pthread_exit((void *)5);
}

void force() {
    pthread_t thread;
    void *result = nullptr;
    int unwound = 0;
    pthread_create(&thread, nullptr, waitForever, &unwound);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    expect(result == PTHREAD_CANCELED, "a canceled thread ends as canceled");
    unwound = 0;
    pthread_create(&thread, nullptr, leave, &unwound);
    pthread_join(thread, &result);
    expect(result == (void *)5 && unwound == 1, "pthread_exit unwinds");
}

void throwFromLibrary(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    auto entry = library ? (int (*)())dlsym(library, "granite_probe_library") : nullptr;
    expect(entry != nullptr, "the library is loaded");
    if (!entry) return;
    try {
        entry();
        expect(false, "the library throws");
    } catch (const std::runtime_error &error) {
        expect(strcmp(error.what(), "no settings in app.ini") == 0, "what the library threw is caught");
    }
}

int run(const std::string &name, const char *argument) {
    if (name == "uncaught") fail(1);
    if (name == "uncaught-number") throwNumber();
    if (name == "noexcept") keepPromise();
    if (name == "again") catchAndThrowAgain();
    if (name == "future") getFromFuture();
    if (name == "catch-abort") abortAfterCatching();
    if (name == "thread") std::thread([] { fail(2); }).join();
    if (name == "joinable") {
        try {
            fail(1);
        } catch (const Failed &) {
        }
        usleep(300000);  // so that the exception is too old to have to do with it
        std::thread thread([] { pause(); });
    }
    if (name == "notes") {
        catchOne(2);
        catchOne(1);
        try {
            catchAndThrowAgain();
        } catch (const Failed &) {
        }
        return 0;
    }
    if (name == "unharmed") {
        throwMany(1000000);
        nest();
        force();
        if (argument) throwFromLibrary(argument);
        std::thread others[4];
        for (auto &other : others) {
            other = std::thread([] {
                int right = 0;
                for (int i = 2; i < 40000; i += 4) right += catchOne(i);
                expect(right == 10000, "threads throw at once");
            });
        }
        for (auto &other : others) other.join();
        return failures == 0 ? 0 : 1;
    }
    return 2;
}

}  // namespace app

int main(int count, char **words) {
    auto install = (int (*)(const app::Options *))dlsym(RTLD_DEFAULT, "granite_capture_install");
    app::Options options{10, 11, 2, 20000, 20000, 0, 0};
    if (install && install(&options) != 0) return 3;
    return count > 1 ? app::run(words[1], count > 2 ? words[2] : nullptr) : 2;
}
