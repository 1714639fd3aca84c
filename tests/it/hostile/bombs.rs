//! Case 8: components that are small to send and large to compile.

use crate::support::{
    guests::{guest_manifest, install, with_manifest},
    ml_intern::Home,
};

use super::support::neighbour;

/// A plugin that exports a tool without functions, beside a core module that only the compiler
/// ever sees.
fn plugin(bomb: Vec<u8>) -> Vec<u8> {
    let wit = include_str!("../../../wit/tool.wit");
    let package = wit
        .lines()
        .find_map(|line| line.strip_prefix("package ml-intern:plugin@"));
    let version = package
        .expect("the interfaces have a version")
        .trim_end_matches(';');
    let name = format!("ml-intern:plugin/tool@{version}");
    let export = [&[1, 0][..], &leb(name.len()), name.as_bytes(), &[5, 0, 0]].concat();
    // An instance of nothing, under the name of the interface.
    let whole = [bomb, section(5, &[1, 1, 0]), section(11, &export)].concat();
    with_manifest(
        whole,
        &guest_manifest("good").replace("stranger/good", "stranger/bomb"),
    )
}

/// What adding the bomb says.
async fn added(bomb: Vec<u8>) -> String {
    let home = Home::new();
    install(&home, &[neighbour()]).await;
    home.write("bomb.wasm", plugin(bomb));
    let add = home.ml_intern(["plugin", "add", "bomb.wasm", "--yes"]);
    let refused = add.life(std::time::Duration::from_secs(300)).run().await;
    refused.assert_code(7);
    assert!(
        refused.stderr.contains("stranger/bomb"),
        "{}",
        refused.stderr
    );
    super::support::neighbour_answers(home).await;
    refused.stderr
}

#[tokio::test]
async fn case_08_compile_bombs_end_by_the_compilers_own_limits() {
    // 45 KB take more than two gigabytes, 1 MB half a minute and more.
    let memory = added(carried(1000, 5000));
    let time = added(branches(150_000));
    let (memory, time) = tokio::join!(memory, time);
    let limits = [
        "takes more than 2147483648 bytes of memory to compile",
        "takes more than 20s",
    ];
    assert!(
        limits.iter().any(|limit| memory.contains(limit)),
        "{memory}"
    );
    assert!(
        time.contains("takes more than 24s of processor time to compile"),
        "{time}"
    );
    // Less of the same compiles, and so do other shapes in size: what is missing is the tool.
    let shapes = [
        carried(50, 100),
        branches(1000),
        nested(50_000),
        many(50_000, 14),
    ];
    for shape in shapes {
        let words = added(shape).await;
        assert!(!words.contains("takes more than"), "{words}");
        assert!(words.contains("describe"), "{words}");
    }
}

/// A component around one core module that has one function of these locals and this body, or
/// several of them.
fn component(functions: usize, locals: u32, body: &[u8]) -> Vec<u8> {
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

/// One function of many branches.
fn branches(count: usize) -> Vec<u8> {
    // block, local.get 0, br_if 0, end
    component(
        1,
        0,
        &repeated(&[0x02, 0x40, 0x20, 0, 0x0d, 0, 0x0b], count),
    )
}

/// Loops within loops, in the innermost of which every local is changed: each of them is carried
/// through each loop.
fn carried(loops: usize, locals: u32) -> Vec<u8> {
    let mut body = [0x03, 0x40].repeat(loops);
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
fn nested(depth: usize) -> Vec<u8> {
    let body = [[0x02, 0x40].repeat(depth), vec![0x0b; depth], vec![0x20, 0]].concat();
    component(1, 0, &body)
}

/// As many functions, each of this many bytes.
fn many(functions: usize, bytes: usize) -> Vec<u8> {
    let part = [0x20, 0, 0x41, 1, 0x6a, 0x21, 0];
    component(functions, 0, &repeated(&part, bytes / part.len()))
}

/// The processes that this one started.
fn children(parent: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_parent = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // After the name, which may hold anything: the state, then the parent.
        let after = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned());
        after.is_some_and(|rest| rest.split(' ').nth(1) == Some(&parent.to_string()))
    };
    ids.filter(of_parent).collect()
}

#[tokio::test]
async fn a_compilation_that_nobody_waits_for_ends() {
    let home = Home::new();
    install(&home, &[neighbour()]).await;
    home.write("bomb.wasm", plugin(branches(150_000)));
    let running = home
        .ml_intern(["plugin", "add", "bomb.wasm", "--yes"])
        .start();
    let pause = || tokio::time::sleep(std::time::Duration::from_millis(50));
    let mut compiler = None;
    for _ in 0..200 {
        compiler = children(running.id()).first().copied();
        if compiler.is_some() {
            break;
        }
        pause().await;
    }
    let compiler = compiler.expect("a process that compiles");
    running.signal(rustix::process::Signal::KILL);
    let there = || std::path::Path::new(&format!("/proc/{compiler}/exe")).exists();
    assert!(there());
    for _ in 0..100 {
        if !there() {
            return;
        }
        pause().await;
    }
    panic!("the compiler goes on");
}
