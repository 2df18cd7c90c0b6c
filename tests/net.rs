//! TLS against a real server of `openssl`: believed with its authority, not without.

#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use pgmayday::net::{Http, Limits, NetError, Trust, Url};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Ends the server with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn openssl(folder: &Path, line: &str) -> Command {
    let mut command = Command::new("openssl");
    command.args(line.split(' ')).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn a_server_is_believed_with_its_authority_and_not_without() {
    let dir = tempfile::tempdir().unwrap();
    let make = |line: &str| assert!(openssl(dir.path(), line).status().expect("openssl").success(), "{line}");
    let key = "-newkey rsa:2048 -nodes -days 2";
    make(&format!("req -x509 {key} -subj /CN=authority -keyout ca.key -out ca.pem"));
    make(&format!(
        "req -x509 {key} -subj /CN=server -CA ca.pem -CAkey ca.key -keyout key.pem -out cert.pem \
         -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
    ));
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let serve = format!("s_server -accept {address} -cert cert.pem -key key.pem -www -quiet");
    let _server = Server(openssl(dir.path(), &serve).stdin(Stdio::null()).spawn().unwrap());
    let is_up = || {
        std::thread::sleep(Duration::from_millis(50));
        TcpStream::connect(address).is_ok()
    };
    assert!((0..200).any(|_| is_up()), "no server");

    let url = Url::parse(&format!("https://{address}/")).unwrap();
    let trust = |authorities| Trust { authorities, ..Trust::default() };
    let error = Http::new(Limits::default(), trust(None)).get(&url).unwrap_err();
    assert!(matches!(error, NetError::Tls { .. }) && !error.may_pass(), "{error}");
    let own = Http::new(Limits::default(), trust(Some(dir.path().join("ca.pem"))));
    assert!(own.get(&url).unwrap().is_success());
    let anybody = Trust { anybody: true, ..Trust::default() };
    assert!(Http::new(Limits::default(), anybody).get(&url).unwrap().is_success());
    // The name counts, too: the certificate is for an address only.
    let other = Url::parse(&format!("https://localhost:{}/", address.port())).unwrap();
    assert!(matches!(own.get(&other), Err(NetError::Tls { .. })));
}
