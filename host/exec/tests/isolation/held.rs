use std::net::TcpListener;

use ml_intern_exec::Isolation;

use crate::bench::{Bench, finish, text};

/// Attacks on the level without namespaces; free, each prints `reached`.
async fn attack(bench: &Bench, script: &str) {
    let free = finish(bench.python(script, Isolation::None)).await;
    assert_eq!(text(&free), "reached", "it has to succeed when it is free");
    let held = finish(bench.python(script, Isolation::Landlock)).await;
    assert_ne!(text(&held), "reached");
    let error = String::from_utf8_lossy(&held.stderr).contains("PermissionError");
    assert!(error, "{held:?}");
}

#[tokio::test]
async fn files_outside_are_refused() {
    let bench = Bench::new();
    let token = bench.home.join("token");
    attack(&bench, &format!("open({token:?}).read(); print('reached')")).await;
    attack(
        &bench,
        &format!("open({token:?}, 'a').write('x'); print('reached')"),
    )
    .await;
    attack(
        &bench,
        &format!("import os; os.truncate({token:?}, 0); print('reached')"),
    )
    .await;
    attack(
        &bench,
        &format!("import os; os.listdir({:?}); print('reached')", bench.home),
    )
    .await;
}

#[tokio::test]
async fn sockets_are_refused_and_pairs_are_not() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    attack(
        &bench,
        &format!(
            "import socket; socket.create_connection(('127.0.0.1', {port})); print('reached')"
        ),
    )
    .await;
    let path = bench.home.join("agent.sock");
    let _agent = std::os::unix::net::UnixListener::bind(&path).unwrap();
    attack(
        &bench,
        &format!(
            "import socket; socket.socket(socket.AF_UNIX).connect({path:?}); print('reached')"
        ),
    )
    .await;
    let pair = "import asyncio, socket
a, b = socket.socketpair(); a.send(b'x'); b.recv(1)
async def main(): return 'works'
print(asyncio.run(main()))";
    let held = finish(bench.python(pair, Isolation::Landlock)).await;
    assert_eq!(text(&held), "works", "{held:?}");
}

#[tokio::test]
async fn processes_outside_are_left_alone() {
    let bench = Bench::new();
    let mut victim = std::process::Command::new("sleep")
        .arg("100")
        .spawn()
        .unwrap();
    let id = victim.id();
    attack(
        &bench,
        &format!("import os; os.kill({id}, 18); print('reached')"),
    )
    .await;
    attack(
        &bench,
        &format!("open('/proc/{id}/environ', 'rb').read(); print('reached')"),
    )
    .await;
    victim.kill().unwrap();
    victim.wait().unwrap();
}

#[tokio::test]
async fn the_workspace_and_the_system_are_usable() {
    let bench = Bench::new();
    let script = "mkdir -p a b && echo x > a/f && mv a/f b/g && cat b/g && grep -c root /etc/passwd && echo $TMPDIR && git init -q . && ls -A";
    let mut command = bench.shell(script, Isolation::Landlock);
    let tmp = bench.directory.path().join("tmp");
    std::fs::create_dir(&tmp).unwrap();
    command.view.tmp = Some(tmp.clone());
    let outcome = finish(command).await;
    let expected = format!("x\n1\n{}\n.git\na\nb", tmp.display());
    assert_eq!(text(&outcome), expected, "{outcome:?}");
}
