//! Components that are small to send and large to compile.

/// A component around one core module that has one function of these locals and this body, or
/// several of them.
pub(super) fn component(functions: usize, locals: u32, body: &[u8]) -> Vec<u8> {
    // (func (param i32) (result i32))
    let types = [1, 0x60, 1, 0x7f, 1, 0x7f];
    let count = leb(functions);
    let declared = [count.clone(), vec![0; functions]].concat();
    let mut locals_of = vec![0];
    if locals > 0 {
        locals_of = [vec![1], leb(locals as usize), vec![0x7f]].concat();
    }
    let function = [&locals_of, body, &[0x0b]].concat();
    let function = [leb(function.len()), function].concat();
    let mut code = count;
    for _ in 0..functions {
        code.extend_from_slice(&function);
    }
    let core = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &types),
        section(3, &declared),
        section(10, &code),
    ]
    .concat();
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, &core)].concat()
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], &leb(content.len())[..], content].concat()
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// `local.get 0`, with this in front of it `count` times.
fn repeated(part: &[u8], count: usize) -> Vec<u8> {
    [part.repeat(count), vec![0x20, 0]].concat()
}

/// One function of seven megabytes in a straight line.
pub(super) fn long(count: usize) -> Vec<u8> {
    // local.get 0, i32.const 1, i32.add, local.set 0
    component(1, 0, &repeated(&[0x20, 0, 0x41, 1, 0x6a, 0x21, 0], count))
}

/// One function of many branches.
pub(super) fn branches(count: usize) -> Vec<u8> {
    // block, local.get 0, br_if 0, end
    component(
        1,
        0,
        &repeated(&[0x02, 0x40, 0x20, 0, 0x0d, 0, 0x0b], count),
    )
}

/// Loops within loops, in the innermost of which every local is changed: each of them is carried
/// through each loop.
pub(super) fn carried(loops: usize, locals: u32) -> Vec<u8> {
    let mut body = vec![0x03, 0x40].repeat(loops);
    for local in 1..=locals as usize {
        // local.get N, i32.const 1, i32.add, local.set N
        body.extend(
            [
                &[0x20][..],
                &leb(local),
                &[0x41, 1, 0x6a, 0x21],
                &leb(local),
            ]
            .concat(),
        );
    }
    for _ in 0..loops {
        // local.get 0, br_if 0, end
        body.extend([0x20, 0, 0x0d, 0, 0x0b]);
    }
    body.extend([0x20, 0]);
    component(1, locals, &body)
}

/// Blocks within blocks.
pub(super) fn nested(depth: usize) -> Vec<u8> {
    let body = [
        vec![0x02, 0x40].repeat(depth),
        vec![0x0b; depth],
        vec![0x20, 0],
    ]
    .concat();
    component(1, 0, &body)
}

/// As many functions, each of this many bytes.
pub(super) fn many(functions: usize, bytes: usize) -> Vec<u8> {
    let part = [0x20, 0, 0x41, 1, 0x6a, 0x21, 0];
    component(functions, 0, &repeated(&part, bytes / part.len()))
}
