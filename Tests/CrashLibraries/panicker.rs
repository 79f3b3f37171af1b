// A program that panics, under the preloaded library. panicker CASE: descriptor 10 is the crash page, 11 the memory socket.

use std::mem::ManuallyDrop;
use std::panic::catch_unwind;

#[repr(C)]
struct Options {
    page: i32,
    socket: i32,
    level: u32,
    park: u32,
    serve: u32,
    stack: usize,
    crashed: usize,
}

extern "C" {
    fn dlsym(handle: *mut u8, name: *const u8) -> *mut u8;
}

fn install() -> bool {
    unsafe {
        let found = dlsym(std::ptr::null_mut(), b"granite_capture_install\0".as_ptr());
        if found.is_null() {
            return true;
        }
        let install: extern "C" fn(*const Options) -> i32 = std::mem::transmute(found);
        install(&Options { page: 10, socket: 11, level: 2, park: 20000, serve: 20000, stack: 0, crashed: 0 }) == 0
    }
}

#[inline(never)]
fn checked(values: &[i32], index: usize) -> i32 {
    values[index] + 1
}

#[inline(never)]
fn answer(value: Option<i32>) -> i32 {
    value.expect("no answer") + 1
}

struct Flag<'a>(&'a mut bool);

impl Drop for Flag<'_> {
    fn drop(&mut self) {
        *self.0 = true;
    }
}

fn main() {
    if !install() {
        std::process::exit(3);
    }
    match std::env::args().nth(1).as_deref() {
        Some("caught") => {
            let mut dropped = false;
            let panic = catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _flag = Flag(&mut dropped);
                checked(&[1, 2, 3], black_box(3))
            }));
            let text = panic.unwrap_err();
            let text = text.downcast_ref::<String>().map(String::as_str);
            let right = text == Some("index out of bounds: the len is 3 but the index is 3") && dropped;
            std::process::exit(if right { 0 } else { 1 });
        }
        Some("often") => {
            std::panic::set_hook(Box::new(|_| {}));
            for _ in 0..20000 {
                if catch_unwind(|| checked(&[1], black_box(9))).is_ok() {
                    std::process::exit(1);
                }
            }
        }
        Some("thread") => {
            let ended = std::thread::Builder::new().name("worker-7".into()).spawn(|| answer(black_box(None)));
            std::process::exit(if ended.unwrap().join().is_err() { 0 } else { 1 });
        }
        _ => {
            checked(&[1, 2, 3], black_box(3));
        }
    }
}

/// std::hint::black_box, which older compilers do not have: what it returns is known to nobody.
#[inline(never)]
fn black_box<T>(value: T) -> T {
    let value = ManuallyDrop::new(value);
    unsafe { std::ptr::read_volatile(&*value) }
}
