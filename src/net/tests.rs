//! The client against real local servers: good, late, silent, endless, lying ones, and none.

use super::*;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Instant;

/// A server that gives each connection to `serve`, and its address.
fn server(serve: impl Fn(TcpStream, usize) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            serve(stream.unwrap(), number);
        }
    });
    address
}

/// What came, up to the end of the head or of the announced body.
fn heard(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return text,
            Ok(n) => all.extend_from_slice(&piece[..n]),
        }
    }
}

fn says(mut stream: TcpStream, status: &str, head: &str, body: &str) {
    heard(&mut stream);
    let length = body.len();
    drop(write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{head}\r\n{body}"));
}

fn quick() -> Http {
    let deadline = Duration::from_millis(700);
    Http::new(Limits { deadline, most_bytes: 1000, attempts: 1 }, Trust::default())
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

#[test]
fn json_is_fetched_and_a_status_is_an_answer_or_an_error() {
    let at = server(|stream, number| match number {
        0 => says(stream, "200 OK", "", r#"{"state":"running","timeline":3}"#),
        1 => says(stream, "503 Service Unavailable", "", r#"{"state":"starting"}"#),
        2 => says(stream, "404 Not Found", "", "no"),
        _ => says(stream, "200 OK", "", "<html>"),
    });
    let at = url(&at).at_path("/patroni");
    let first: serde_json::Value = quick().get_json(&at).unwrap();
    assert_eq!(first["timeline"], 3);
    let second = quick().get(&at).unwrap();
    assert!(second.status == 503 && !second.is_success());
    assert_eq!(second.json::<serde_json::Value>().unwrap()["state"], "starting");
    let third = quick().get_json::<serde_json::Value>(&at).unwrap_err();
    assert_eq!(third, NetError::Status { at: at.to_string(), code: 404 });
    let fourth = quick().get_json::<serde_json::Value>(&at).unwrap_err();
    assert!(matches!(fourth, NetError::NotJson { .. }), "{fourth}");
}

#[test]
fn a_post_arrives_whole_and_its_redirect_is_not_followed() {
    let (heard_by, hears) = mpsc::channel();
    let elsewhere = server(|_, _| panic!("something was sent elsewhere"));
    let at = server(move |mut stream, number| {
        heard_by.send(heard(&mut stream)).unwrap();
        let said = match number {
            0 => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            _ => format!("HTTP/1.1 307 See there\r\nlocation: {elsewhere}/x\r\ncontent-length: 0\r\n\r\n"),
        };
        stream.write_all(said.as_bytes()).unwrap();
    });
    let hook = Url::secret(&format!("{at}/services/T0/B0/XYZZY?k=v")).unwrap();
    assert_eq!(quick().post(&hook, "application/json", b"{\"text\":\"so\"}").unwrap().status, 204);
    let request = hears.recv().unwrap();
    assert!(request.starts_with("POST /services/T0/B0/XYZZY?k=v HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/json\r\n") && request.ends_with("{\"text\":\"so\"}"));
    let error = quick().post(&hook, "application/json", b"{}").unwrap_err();
    assert_eq!(error, NetError::Redirected { at: format!("{at}/…"), code: 307 });
    assert!(!error.may_pass());
}

#[test]
fn whoever_hangs_is_left_at_the_deadline() {
    for late in ["", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"] {
        let at = server(move |mut stream, _| {
            heard(&mut stream);
            stream.write_all(late.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_secs(20));
        });
        let begun = Instant::now();
        let error = quick().get(&url(&at)).unwrap_err();
        assert!(matches!(error, NetError::TimedOut { after_ms: 700, .. }), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[test]
fn an_endless_answer_is_not_kept() {
    let at = server(|mut stream, _| {
        heard(&mut stream);
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n"));
        while stream.write_all(&[b'x'; 500]).is_ok() {}
    });
    let error = quick().get(&url(&at)).unwrap_err();
    assert_eq!(error, NetError::TooLarge { at: format!("{at}/"), most_bytes: 1000 });
}

#[test]
fn nobody_there_no_http_and_no_tls_are_told_apart() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = quick().get(&url(&format!("http://{closed}/"))).unwrap_err();
    assert!(matches!(&error, NetError::Unreachable { why, .. } if why.contains("refused")), "{error}");
    assert!(error.may_pass());

    let rude = server(|mut stream, _| {
        heard(&mut stream);
        stream.write_all(b"220 mail.example.com\r\n").unwrap();
    });
    let error = quick().get(&url(&rude)).unwrap_err();
    assert!(matches!(error, NetError::Broken { .. }), "{error}");
    let plain = server(|mut stream, _| {
        let mut some = [0; 64];
        drop(stream.read(&mut some));
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let error = quick().get(&url(&plain.replace("http:", "https:"))).unwrap_err();
    assert!(matches!(error, NetError::Tls { .. }), "{error}");
}

#[test]
fn a_get_is_tried_again_where_asked_and_a_post_never() {
    let at = server(|stream, number| {
        let status = if number % 3 < 2 { "500 Oh" } else { "200 OK" };
        says(stream, status, "", "{}");
    });
    let limits = Limits { attempts: 3, ..Limits::default() };
    let http = Http::new(limits, Trust::default());
    assert!(http.get(&url(&at)).unwrap().is_success());
    assert!(matches!(http.post(&url(&at), "text/plain", b"x"), Err(NetError::Status { code: 500, .. })));
}

#[test]
fn no_text_of_ours_shows_what_is_secret() {
    let plain = url("http://user:XYZZY@db1:8008/cluster?token=XYZZY#XYZZY");
    assert_eq!(plain.to_string(), "http://db1:8008/cluster");
    assert!(plain.has_credentials() && !url("http://ntfy.example.com/oncall").has_credentials());
    let hook = Url::secret("https://hooks.slack.com/services/T0/B0/XYZZY").unwrap();
    assert_eq!((hook.to_string().as_str(), hook.host()), ("https://hooks.slack.com/…", "hooks.slack.com"));
    for bad in ["XYZZY", "ftp://h/XYZZY", "https://[XYZZY", "unix:/XYZZY", ""] {
        let error = Url::parse(bad).map(|url| url.to_string()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("XYZZY"), "{bad}: {error}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hook = Url::secret(&format!("http://XYZZY:XYZZY@{closed}/XYZZY?XYZZY")).unwrap();
    let error = quick().post(&hook, "text/plain", b"").unwrap_err();
    assert!(!format!("{error} {error:?} {hook:?}").contains("XYZZY"), "{error:?}");
}

#[test]
fn files_of_certificates_are_named_when_they_are_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let trust = Trust { authorities: Some(path.clone()), ..Trust::default() };
    for content in [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")] {
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let error = Http::new(Limits::default(), trust.clone()).get(&url("http://127.0.0.1:1/")).unwrap_err();
        assert!(error.to_string().contains("ca.pem"), "{content:?}: {error}");
    }
}
