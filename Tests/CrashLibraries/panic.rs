// A Rust extension that panics in a function called from C.

#[inline(never)]
fn checked(values: &[i32], index: usize) -> i32 {
    values[index] + 1
}

#[inline(never)]
fn total(values: Vec<i32>) -> i32 {
    let last = values.len();
    checked(&values, unsafe { std::ptr::read_volatile(&last) }) + 1
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn granite_probe_library() -> i32 {
    total(vec![1, 2, 3]) + 1
}
