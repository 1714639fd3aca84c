use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Arc;
use std::time::Duration;

use ml_intern_exec::{Isolation, Network, Room};

use crate::bench::{Bench, check_support, finish, is_root, text};

#[tokio::test]
async fn a_unix_socket_outside_is_not_there() {
    let bench = Bench::new();
    let path = bench.home.join("agent.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let script = format!(
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect({path:?}); print('reached')"
    );
    bench.attack(&script).await;
}

#[tokio::test]
async fn an_abstract_unix_socket_is_another_namespaces() {
    let bench = Bench::new();
    let name = format!("ml-intern-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let script = format!(
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('\\0{name}'); print('reached')"
    );
    bench.attack(&script).await;
}

#[tokio::test]
async fn a_listener_of_the_host_is_not_reached() {
    let bench = Bench::new();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let script = format!(
        "import socket; socket.create_connection(('127.0.0.1', {port}), 5); print('reached')"
    );
    bench.attack(&script).await;
}

#[tokio::test]
async fn a_datagram_does_not_arrive() {
    check_support().await;
    let bench = Bench::new();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let port = udp.local_addr().unwrap().port();
    let script = format!(
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))"
    );
    let mut buffer = [0; 8];
    finish(bench.python(&script, Isolation::None)).await;
    udp.recv(&mut buffer).unwrap();
    finish(bench.python(&script, Isolation::Full)).await;
    udp.recv(&mut buffer).unwrap_err();
    // Nor does one to elsewhere leave: there is no route.
    bench
        .held("import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53)); print('reached')")
        .await;
}

#[tokio::test]
async fn only_its_own_loopback_interface_is_there() {
    let bench = Bench::new();
    let interfaces = bench
        .sh("/usr/bin/python3 -c 'import socket; print([name for _, name in socket.if_nameindex()])'")
        .await;
    assert_eq!(interfaces, "['lo']");
}

#[tokio::test]
async fn sockets_into_the_kernel_are_refused() {
    let bench = Bench::new();
    // Events of devices, a family of its own numbers.
    bench
        .attack("import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15); print('reached')")
        .await;
    let families = [
        "socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP",
        "socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMPV6",
        "socket.AF_PACKET, socket.SOCK_RAW, 0",
    ];
    for family in families {
        let script = format!("import socket; socket.socket({family}); print('reached')");
        if is_root() {
            bench.attack(&script).await;
        } else {
            bench.held(&script).await;
        }
    }
    // Virtual machines, cryptography, Bluetooth: not every kernel has them.
    for family in [40, 38, 31] {
        bench
            .held(&format!(
                "import socket; socket.socket({family}, socket.SOCK_STREAM, 0); print('reached')"
            ))
            .await;
    }
}

#[tokio::test]
async fn the_way_out_of_a_room_is_the_listener_that_the_host_got() {
    check_support().await;
    let bench = Bench::new();
    let (ended, end) = std::sync::mpsc::channel::<()>();
    let network = Network {
        serve: Box::new(move |listener| {
            std::thread::spawn(move || {
                listener.set_nonblocking(false).unwrap();
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let count = stream.read(&mut request).unwrap();
                let line = String::from_utf8_lossy(&request[..count]);
                let line = line.lines().next().unwrap_or_default().to_owned();
                let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length";
                write!(stream, "{head}: {}\r\n\r\n{line}", line.len()).unwrap();
            });
            // Dropped with the room.
            Box::new(ended)
        }),
        direct: vec!["localhost".into()],
    };
    let room = Arc::new(Room::open(Some(network)).await.unwrap());
    let script = "import os, urllib.request as r
print(r.urlopen('http://service.test/path').read().decode())
print(os.environ['HTTPS_PROXY'], os.environ['no_proxy'])";
    let mut command = bench.python(script, Isolation::Full);
    command.room = Some(room.clone());
    let outcome = finish(command).await;
    let expected = "GET http://service.test/path HTTP/1.1\nhttp://127.0.0.1:3128 localhost";
    assert_eq!(text(&outcome), expected, "{outcome:?}");
    assert!(
        end.try_recv()
            .is_err_and(|error| error == std::sync::mpsc::TryRecvError::Empty)
    );
    drop(room);
    // The run's own handle is gone with it, or a moment later.
    assert_eq!(
        end.recv_timeout(Duration::from_secs(5)),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
    );
}

#[tokio::test]
async fn programs_of_one_room_reach_each_other_and_nobody_elses() {
    check_support().await;
    let bench = Bench::new();
    let room = Arc::new(Room::open(None).await.unwrap());
    let mut server = bench.shell(
        "nohup /usr/bin/python3 -m http.server 8123 --bind 127.0.0.1 > log 2>&1 &
         until grep -q Serving log; do sleep 0.05; done",
        Isolation::Full,
    );
    server.env = vec![("PYTHONUNBUFFERED".into(), "1".into())];
    server.room = Some(room.clone());
    server.keep_children = true;
    assert_eq!(finish(server).await.exit_code, Some(0));
    let ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8123/').status)";
    let mut neighbour = bench.python(ask, Isolation::Full);
    neighbour.room = Some(room);
    let answer = finish(neighbour).await;
    assert_eq!(text(&answer), "200", "{answer:?}");
    let stranger = finish(bench.python(ask, Isolation::Full)).await;
    assert_ne!(stranger.exit_code, Some(0));
    let host = std::net::TcpStream::connect("127.0.0.1:8123");
    host.unwrap_err();
}
