// A C++ extension that throws what nobody catches, or breaks a promise. One end a build: -DEND=…

#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

#define KEPT __attribute__((noinline))
#define STAY __asm__ volatile("" ::: "memory")

namespace app {

struct Settings {
    std::string name;
};

KEPT int load(const Settings &settings) {
    throw std::runtime_error("no settings in " + settings.name);
}

KEPT int open() {
    int value = load(Settings{"app.ini"});
    STAY;
    return value;
}

KEPT int throwNumber() { throw 42; }

KEPT int close() noexcept {
    int value = load(Settings{"close.ini"});
    STAY;
    return value;
}

struct Shape {
    Shape() { measure(); }
    virtual ~Shape() = default;
    KEPT void measure() {
        area();
        STAY;
    }
    virtual int area() = 0;
};

struct Square : Shape {
    int area() override { return 4; }
};

KEPT int callPure() {
    Square square;
    STAY;
    return square.area();
}

}  // namespace app

extern "C" KEPT int granite_probe_library() {
    int value = app::END();
    STAY;
    return value;
}
