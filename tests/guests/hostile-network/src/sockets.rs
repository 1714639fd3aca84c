//! Sockets and names, which no plugin gets.

use ml_intern_plugin::{Error, Output};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp_create_socket::create_udp_socket;

use crate::Told;

/// `url` is `address:port` of an IPv4 address.
pub(crate) fn all(told: Told) -> Result<Output, Error> {
    let address: std::net::SocketAddrV4 = told.url.parse().map_err(|_| "no address")?;
    let [a, b, c, d] = address.ip().octets();
    let place = IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port: address.port(),
        address: (a, b, c, d),
    });
    let seen = [
        format!("tcp: {}", tcp(place)),
        format!("udp: {}", udp(place)),
        format!("lookup: {}", lookup()),
        format!(
            "std tcp: {:?}",
            std::net::TcpStream::connect(address).map(drop)
        ),
        format!(
            "std udp: {:?}",
            std::net::UdpSocket::bind("0.0.0.0:0")
                .and_then(|socket| socket.send_to(b"hello", address))
        ),
    ];
    Ok(Output::text(seen.join("\n")))
}

fn tcp(place: IpSocketAddress) -> String {
    let connected = (|| {
        let network = instance_network();
        let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
        socket.start_connect(&network, place)?;
        socket.subscribe().block();
        socket.finish_connect()
    })();
    match connected {
        Ok(_) => "connected".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

fn udp(place: IpSocketAddress) -> String {
    let bound = (|| {
        let network = instance_network();
        let socket = create_udp_socket(IpAddressFamily::Ipv4)?;
        let any = IpSocketAddress::Ipv4(Ipv4SocketAddress {
            port: 0,
            address: (0, 0, 0, 0),
        });
        socket.start_bind(&network, any)?;
        socket.finish_bind()?;
        socket.stream(Some(place))
    })();
    match bound {
        Ok(_) => "connected".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

fn lookup() -> String {
    let network = instance_network();
    let resolved = resolve_addresses(&network, "secret-data.example.org").and_then(|stream| {
        stream.subscribe().block();
        stream.resolve_next_address()
    });
    format!("{resolved:?}")
}
