//! Acts carried out for real: programs of this host and a server that listens.

use super::*;
use crate::runbook;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

fn value(name: &str) -> Option<String> {
    match name {
        "stanza" => Some("main; rm -rf /".to_owned()),
        "data_dir" => Some("/srv/pg data".to_owned()),
        _ => None,
    }
}

fn secret(name: &str) -> std::result::Result<Secret, String> {
    if name == "TOKEN" { Ok(Secret::new("XYZZY")) } else { Err("it is not set".to_owned()) }
}

fn means(given: &[String]) -> Means<'_> {
    Means { program: Path::new("/bin/echo"), given, value: &value, secret: &secret }
}

fn done(how: &How) -> Result<Vec<String>> {
    Deed::of(how, &means(&[]))?.carry_out(&Cancel::default())
}

fn argv(words: &[&str]) -> How {
    How::Command { argv: words.iter().map(|&word| word.to_owned()).collect() }
}

#[test]
fn no_shell_reads_a_value_and_the_end_of_what_is_said_is_kept() {
    assert_eq!(done(&argv(&["/bin/echo", "${stanza}", "$HOME"])).unwrap(), ["main; rm -rf / $HOME"]);
    let many = done(&argv(&["/usr/bin/seq", "1", "50"])).unwrap();
    assert_eq!((many.len(), many.first().map(String::as_str)), (MOST_LINES, Some("31")));
    let painted = done(&argv(&["/usr/bin/printf", "a\\033[2Jb\\n"])).unwrap();
    assert_eq!(painted, ["a[2Jb"]);
}

#[test]
fn a_failure_says_what_was_said_and_what_cannot_be_run_is_refused() {
    let failed = done(&argv(&["/bin/sh", "-c", "echo half; echo broken >&2; exit 3"])).unwrap_err();
    assert!(failed.headline.contains("exit code 3: broken"), "{failed}");
    assert!(failed.context.iter().any(|line| line == "half"), "{failed}");
    for (how, why) in [
        (argv(&["/bin/echo", "${target}"]), "${target} has no value"),
        (argv(&["/no/such/program"]), "cannot be started"),
        (How::Manual { steps: vec!["# think".to_owned()] }, "done by a person"),
    ] {
        let refused = done(&how).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn an_operation_is_this_program_with_the_same_configuration() {
    let how = How::Operation { operation: "check".to_owned(), options: vec!["--repo=1".to_owned()] };
    let given = ["--config=/etc/x".to_owned()];
    let said = Deed::of(&how, &means(&given)).unwrap().carry_out(&Cancel::default()).unwrap();
    assert_eq!(said, ["check --stanza=main; rm -rf / --repo=1 --config=/etc/x"]);
}

#[test]
fn what_is_asked_to_end_ends_with_all_it_started() {
    let cancel = Cancel::default();
    let deed = Deed::of(&argv(&["/bin/sh", "-c", "sleep 60 & wait"]), &means(&[])).unwrap();
    let begun = std::time::Instant::now();
    let ended = std::thread::scope(|scope| {
        let running = scope.spawn(|| deed.carry_out(&cancel));
        std::thread::sleep(Duration::from_millis(200));
        cancel.request();
        running.join().unwrap()
    });
    assert_eq!(ended.unwrap_err().kind, Kind::Cancelled);
    assert!(begun.elapsed() < Duration::from_secs(20));
}

/// A server that answers once and gives what it was told.
fn once(status: &'static str, body: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let told = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut all, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(given) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = given.trim().parse().unwrap();
            }
            let is_end = line == "\r\n";
            all.push_str(&line);
            if is_end {
                break;
            }
        }
        let mut content = vec![0; length];
        reader.read_exact(&mut content).unwrap();
        all.push_str(&String::from_utf8(content).unwrap());
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        all
    });
    (address, told)
}

fn post(url: String, header: &str) -> How {
    let body = Some(r#"{"dir": "${data_dir}"}"#.to_owned());
    How::Http(runbook::Http { method: "POST".to_owned(), url, header: vec![header.to_owned()], body })
}

#[test]
fn a_call_is_sent_as_it_stands_and_its_secret_is_kept_nowhere() {
    let (at, told) = once("200 OK", "Successfully switched over\n");
    let said = done(&post(format!("{at}/switchover"), "X-Plain: yes")).unwrap();
    assert!(said[0].ends_with("/switchover answers with status 200"), "{said:?}");
    assert_eq!(said[1], "Successfully switched over");
    let told = told.join().unwrap();
    assert!(
        told.starts_with("POST /switchover HTTP/1.1\r\n") && told.ends_with(r#"{"dir": "/srv/pg data"}"#),
        "{told}"
    );

    let (at, told) = once("200 OK", "hello XYZZY");
    let deed = Deed::of(
        &post(format!("{at}/x?k=${{secret:TOKEN}}"), "Authorization: Bearer ${secret:TOKEN}"),
        &means(&[]),
    );
    let deed = deed.unwrap();
    let said = deed.carry_out(&Cancel::default()).unwrap();
    assert!(!format!("{deed:?}{said:?}").contains("XYZZY"), "{deed:?} {said:?}");
    let told = told.join().unwrap().to_ascii_lowercase();
    assert!(told.contains("authorization: bearer xyzzy") && told.contains("/x?k=xyzzy"), "{told}");
}

#[test]
fn a_server_that_says_no_or_a_secret_that_is_not_there_fails() {
    for (status, why) in [("500 Oh", "status 500"), ("302 Found", "redirects elsewhere")] {
        let (at, told) = once(status, "");
        let refused = done(&post(at, "X-Plain: yes")).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
        told.join().unwrap();
    }
    let lacking = done(&post("http://127.0.0.1:1/".to_owned(), "X: ${secret:NONE}")).unwrap_err().to_string();
    assert!(lacking.contains("${secret:NONE}: it is not set"), "{lacking}");
}
