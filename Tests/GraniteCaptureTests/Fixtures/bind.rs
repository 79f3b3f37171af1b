// Finds the functions of granite_bind.h where they are, as a Rust program does that must run without them, too.

use std::os::raw::{c_char, c_int, c_void};

extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// `name` ends with a NUL.
fn find(name: &[u8]) -> *mut c_void {
    unsafe { dlsym(std::ptr::null_mut(), name.as_ptr().cast()) }
}

#[repr(C)]
struct Bound {
    label: *const c_char,
    state: [u64; 23],
}

#[repr(C)]
struct Options {
    page_fd: c_int,
    memory_socket: c_int,
    level: u32,
    park_deadline_ms: u32,
    serve_deadline_ms: u32,
    stack_bytes: usize,
    crashed_stack_bytes: usize,
}

struct Cursor(Box<Bound>);
unsafe impl Send for Cursor {}

fn main() {
    let install = find(b"granite_capture_install\0");
    if install.is_null() {
        std::process::exit(10);
    }
    let options = Options {
        page_fd: 10,
        memory_socket: -1,
        level: 1,
        park_deadline_ms: 20000,
        serve_deadline_ms: 0,
        stack_bytes: 0,
        crashed_stack_bytes: 0,
    };
    unsafe {
        let install: extern "C" fn(*const Options) -> c_int = std::mem::transmute(install);
        if install(&options) != 0 {
            std::process::exit(11);
        }
        let bind: extern "C" fn(*mut Bound, *const c_char) = std::mem::transmute(find(b"granite_bound_bind\0"));
        let mut cursor = Cursor(Box::new(Bound { label: std::ptr::null(), state: [0; 23] }));
        bind(&mut *cursor.0, b"database cursor\0".as_ptr().cast());
        let answer = std::thread::spawn(move || {
            let mut cursor = cursor;
            let check: extern "C" fn(*const Bound) -> c_int = std::mem::transmute(find(b"granite_bound_check\0"));
            let release: extern "C" fn(*mut Bound) = std::mem::transmute(find(b"granite_bound_drop\0"));
            let answer = check(&*cursor.0);
            release(&mut *cursor.0);
            answer
        });
        std::process::exit(if answer.join().unwrap() == 0 { 0 } else { 12 });
    }
}
