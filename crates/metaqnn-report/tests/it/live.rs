//! The live view over HTTP, as a browser asks it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use metaqnn_core::ports::TrainingProgress;
use metaqnn_core::study::{CurvePoint, TrialNumber};
use metaqnn_report::live::{LiveError, LiveOptions, LiveView};
use metaqnn_store::{RunningFile, StudyFile};

use crate::studies::{finished, grown, header, made, no_whole_studies, of_schema_1};

fn options() -> LiveOptions {
    LiveOptions { port: 0, ..LiveOptions::default() }
}

fn serve_with(studies: &[PathBuf], options: &LiveOptions) -> SocketAddr {
    let view = LiveView::open(studies, options).unwrap();
    let address = view.address();
    thread::spawn(move || view.serve().unwrap());
    address
}

fn serve(study: &Path) -> SocketAddr {
    serve_with(&[study.into()], &options())
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if headers.iter().all(|(name, _)| *name != "Host") {
        request += &format!("Host: {address}\r\n");
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{request}\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.into(), body: body.into() }
}

fn get(address: SocketAddr, path: &str) -> String {
    let answer = ask(address, "GET", path, &[]);
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

/// Waits until a page holds `expected`.
fn wait_for(address: SocketAddr, path: &str, expected: &str) -> String {
    let begin = Instant::now();
    loop {
        let found = ask(address, "GET", path, &[]).body;
        if found.contains(expected) {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{expected} does not come: {found}");
        thread::sleep(Duration::from_millis(30));
    }
}

/// The events of a connection, one at a time.
struct Events(BufReader<TcpStream>);

impl Events {
    fn of(address: SocketAddr, more: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(format!("GET /events HTTP/1.1\r\nHost: {address}\r\n{more}\r\n").as_bytes()).unwrap();
        Events(BufReader::new(stream))
    }

    fn next(&mut self) -> serde_json::Value {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the events ended");
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap();
            }
        }
    }
}

#[test]
fn a_study_is_shown_with_its_trials_and_figures() {
    let folder = tempfile::tempdir().unwrap();
    let address = serve(&finished(folder.path(), "digits.study", 60, 1));
    let page = get(address, "/");
    for expected in
        ["<h1>digits.study</h1>", "The best 10 networks", "1–25 of 60 trials", "About the study", "Not running"]
    {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert_eq!(page.matches("<script ").count(), page.matches("<script src=\"/assets/").count());
    assert!(!page.contains(" style=") && !page.contains("<style"), "the policy forbids styles that stand in the page");
    let figures = wait_for(address, "/study/1/part/figures", "figure-q-by-layer");
    for figure in ["accuracy", "histograms", "error-by-params", "curves", "outcomes", "time"] {
        assert!(figures.contains(&format!(r#"<figure id="figure-{figure}">"#)), "{figure}");
    }
    assert_eq!(get(address, "/study/1"), get(address, "/"));
    let q_table = get(address, "/study/1/q-table");
    assert!(
        q_table.contains(r#"<th class="words" scope="row"><code>start@"#) && q_table.contains(" updates"),
        "{q_table}"
    );
    assert!(get(address, "/study/1/part/q-table?depth=1").contains("<code>1:"));
    let settings = get(address, "/study/1/settings.toml");
    assert_eq!(settings, crate::studies::settings_text());
    for absent in
        ["/study/2", "/study/0", "/study/1/trial/61", "/study/1/part/nothing", "/nothing", "/study/1/trial/61/part"]
    {
        assert_eq!(ask(address, "GET", absent, &[]).status, 404, "{absent}");
    }
    assert_eq!(ask(address, "GET", "/study/x", &[]).status, 400);
}

#[test]
fn a_trial_is_shown_with_its_curve_and_the_q_values_then() {
    let folder = tempfile::tempdir().unwrap();
    let path = finished(folder.path(), "digits.study", 30, 1);
    let address = serve(&path);
    wait_for(address, "/study/1/trial/1", "just before the agent learned");
    // The first trial of all: before it every Q-value is the initial one, after it the last one is nearer to the reward.
    let page = get(address, "/study/1/trial/1");
    let stored = metaqnn_store::StudyReader::open(&path).unwrap().trial(TrialNumber(1)).unwrap().unwrap();
    let last = stored.record.transitions.last().unwrap();
    assert!(page.contains(&format!("<code>{}</code>", last.state)) && page.contains(&format!("{:.4}", last.reward)));
    let initial = "<td>0.5000</td>";
    assert!(page.matches(initial).count() >= 2 * stored.record.transitions.len(), "{page}");
    let pieces: Vec<&str> = page.split("<tr>").collect();
    let cells: Vec<&str> = pieces.last().unwrap().split("<td>").skip(2).collect();
    let number = |cell: &str| cell.split('<').next().unwrap().parse::<f64>().unwrap();
    let (before, after, reward) = (number(cells[0]), number(cells[1]), number(cells[3]));
    assert!((after - reward).abs() < (before - reward).abs(), "{before} {after} {reward}");
    assert!(page.contains("metaqnn train &#39;[") || page.contains("metaqnn train '["), "{page}");
    assert!(page.contains(&format!("--seed {}", stored.record.seed)) && page.contains("--size 32x32"));
    for expected in ["aria-label=\"validation accuracy after each epoch\"", "The network", "complete"] {
        assert!(page.contains(expected), "{expected}");
    }
    assert!(get(address, "/study/1/trial/9").contains("failed to learn: validation accuracy 0.1000"));
    assert!(
        get(address, "/study/1/trial/7").contains("its accuracy 0.3000 is behind the 0.4000 that others had reached")
    );
}

#[test]
fn trials_are_sorted_filtered_and_turned_over() {
    let folder = tempfile::tempdir().unwrap();
    let address = serve(&finished(folder.path(), "digits.study", 60, 1));
    let rows = |query: &str| -> Vec<u64> {
        let page = get(address, &format!("/study/1/part/trials?{query}"));
        let links = page.split("<tr><td><a href=\"/study/1/trial/").skip(1);
        links.map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(rows("order=up")[..3], [1, 2, 3]);
    assert_eq!(rows("order=up&page=3"), (51..=60).collect::<Vec<_>>());
    assert_eq!(rows("order=up&page=99"), rows("order=up&page=3"));
    assert_eq!(rows("outcome=failed+to+learn&order=up"), [9, 18, 27, 36, 45, 54]);
    assert_eq!(rows("search=%2317"), [17]);
    assert!(get(address, "/?search=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").contains("&lt;script&gt;alert(1)"));
}

#[test]
fn names_of_the_study_stay_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("<img src=x onerror=alert(1)>.study");
    let mut header = header(3);
    header.data = "<script>alert(1)</script>".into();
    header.version = "\"><script>alert(2)</script>".into();
    let file = StudyFile::create(&path, &header).unwrap();
    let mut running = RunningFile::new(file.path(), "<script>alert(3)</script>");
    running.tick(None, None, None);
    let second = finished(folder.path(), "second.study", 10, 4);
    let address = serve_with(&[path, second], &options());
    for page in ["/", "/study/1", "/study/1/q-table", "/study/1/part/about", "/study/1/part/status"] {
        let text = get(address, page);
        assert!(!text.contains("<script>") && !text.contains("<img"), "{text}");
        if page != "/study/1/q-table" && page != "/study/1/part/status" {
            assert!(text.contains("&lt;script&gt;alert(1)"), "{text}");
        }
    }
    assert!(get(address, "/study/1/part/status").contains("&lt;script&gt;alert(3)"));
    assert!(get(address, "/").contains("figure-comparison"));
}

#[test]
fn every_answer_keeps_the_page_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let address = serve(&finished(folder.path(), "digits.study", 5, 1));
    let answers = [
        ask(address, "GET", "/", &[]),
        ask(address, "GET", "/nothing", &[]),
        ask(address, "GET", "/assets/live.js", &[]),
        ask(address, "HEAD", "/", &[]),
        ask(address, "POST", "/", &[]),
        ask(address, "GET", "/", &[("Host", "evil.example")]),
    ];
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 404, 200, 200, 405, 403]);
    for answer in &answers {
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    assert_eq!(answers[4].header("allow"), Some("GET, HEAD"));
    assert_eq!(answers[3].body, "");
}

#[test]
fn only_requests_that_name_this_machine_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let address = serve(&finished(folder.path(), "digits.study", 5, 1));
    let port = address.port();
    let status = |host: &str| ask(address, "GET", "/study/1/part/status", &[("Host", host)]).status;
    for host in
        [format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("LOCALHOST:{port}"), format!("[::1]:{port}")]
    {
        assert_eq!(status(&host), 200, "{host}");
    }
    for host in
        ["127.0.0.1", "evil.example", &format!("evil.example:{port}"), &format!("127.0.0.1.evil.example:{port}"), ""]
    {
        assert_eq!(status(host), 403, "{host}");
    }
    assert_eq!(ask(address, "GET", "/events", &[("Host", "evil.example")]).status, 403);
}

#[test]
fn a_token_is_asked_for_kept_and_taken_out_of_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let study = finished(folder.path(), "digits.study", 5, 1);
    let token = "0123456789abcdef";
    let address = serve_with(std::slice::from_ref(&study), &LiveOptions { token: Some(token.into()), ..options() });
    for path in ["/", "/events", "/study/1", "/?token=0123456789abcdeF", "/?token=", "/?token=0123456789abcdef0"] {
        assert_eq!(ask(address, "GET", path, &[]).status, 401, "{path}");
    }
    let answer = ask(address, "GET", "/study/1?sort=valid&token=0123456789abcdef", &[]);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/study/1?sort=valid")));
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(ask(address, "GET", "/study/1", &[("Cookie", &format!("a=b; {cookie}"))]).status, 200);
    assert_eq!(ask(address, "GET", "/study/1", &[("Cookie", &cookie.replace("abc", "abd"))]).status, 401);
    let elsewhere = ask(address, "GET", "//evil.example/?token=0123456789abcdef", &[]);
    assert_eq!(elsewhere.header("location"), Some("/evil.example/"));
    // On an address that others can reach a token is made up.
    let everywhere = LiveOptions { host: "0.0.0.0".parse().unwrap(), ..options() };
    let view = LiveView::open(std::slice::from_ref(&study), &everywhere).unwrap();
    let url = view.url();
    let made_up = url.split("?token=").nth(1).unwrap().to_owned();
    assert_eq!(made_up.len(), 32, "{url}");
    let address: SocketAddr = ([127, 0, 0, 1], view.address().port()).into();
    thread::spawn(move || view.serve().unwrap());
    assert_eq!(ask(address, "GET", "/", &[("Host", "any.example")]).status, 401);
    assert_eq!(ask(address, "GET", &format!("/?token={made_up}"), &[("Host", "any.example")]).status, 303);
    let weak = LiveOptions { token: Some("secret".into()), ..options() };
    assert!(matches!(LiveView::open(&[study], &weak), Err(LiveError::Token)));
}

#[test]
fn an_event_tells_of_each_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("running.study");
    let mut study = grown(&path, 6);
    let address = serve(&path);
    let mut events = Events::of(address, "");
    let stamp = |event: &serde_json::Value, name: &str| event[name].as_u64().unwrap();
    let mut before = events.next();
    for models in [3, 1] {
        study.add(models);
        let event = loop {
            let event = events.next();
            if stamp(&event, "trials-1") > stamp(&before, "trials-1") {
                break event;
            }
        };
        assert!(stamp(&event, "status-1") >= stamp(&event, "trials-1"));
        before = event;
    }
    let page = get(address, "/study/1/part/trials");
    assert!(page.contains("1–4 of 4 trials"), "{page}");
    // Who comes back is told everything at once, whatever it saw last.
    let again = Events::of(address, "Last-Event-ID: 1\r\n").next();
    assert!(stamp(&again, "trials-1") >= stamp(&before, "trials-1"));
    study.file.close().unwrap();
}

#[test]
fn what_is_in_training_is_shown_and_then_its_result() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("running.study");
    let mut study = grown(&path, 6);
    study.add(1);
    let address = serve(&path);
    let architecture = "[C(32,3,1), P(2,2), SM(10)]".parse().unwrap();
    let mut running = RunningFile::new(study.file.path(), "search");
    running.note(1, TrialNumber(2), &architecture, &TrainingProgress::Step { progress: 0.5, train_loss: 1.25 });
    let point = CurvePoint { epoch: 1, train_loss: 1.5, valid_accuracy: 0.75 };
    running.note(1, TrialNumber(2), &architecture, &TrainingProgress::Epoch { point });
    running.tick(Some(0.7), Some(12.0), Some(33.0));
    let page = wait_for(address, "/study/1/part/status", "Running: search, 1 training going on.");
    for expected in ["[C(32,3,1), P(2,2), SM(10)]", "0.70", "33.0 s to search", "epoch 1: 75.00 %", "loss 1.250"] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert!(page.contains("aria-label=\"Validation accuracy of trial 2 so far\""), "{page}");
    let trial = get(address, "/study/1/trial/2");
    assert!(trial.contains("In training.") && trial.contains("data-part=\"/study/1/trial/2/part\""), "{trial}");
    study.add(1);
    wait_for(address, "/study/1/trial/2/part", "Transitions");
    study.file.close().unwrap();
    wait_for(address, "/study/1/part/status", "Not running; `metaqnn resume");
}

#[test]
fn a_file_that_goes_or_is_replaced_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = finished(folder.path(), "digits.study", 12, 1);
    let address = serve(&path);
    let away = folder.path().join("away");
    fs::rename(&path, &away).unwrap();
    let page = wait_for(address, "/study/1/part/status", "It cannot be read now");
    assert!(page.contains("no such study") && page.contains("12 of"), "{page}");
    assert!(get(address, "/study/1").contains("1–12 of 12 trials"), "what was read before stands there");
    fs::write(&path, "no study\n".repeat(200)).unwrap();
    wait_for(address, "/study/1/part/status", "not a metaqnn study");
    fs::remove_file(&path).unwrap();
    fs::rename(&away, &path).unwrap();
    wait_for(address, "/study/1/part/status", "Not running");
    let other = finished(folder.path(), "other.study", 7, 2);
    fs::rename(other, &path).unwrap();
    wait_for(address, "/study/1/part/trials", "1–7 of 7 trials");
    wait_for(address, "/study/1/part/figures", "figure-q-by-layer");
}

#[test]
fn what_is_no_whole_study_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let whole = finished(folder.path(), "whole.study", 30, 7);
    let bytes = fs::read(&whole).unwrap();
    // The copy of a study in the middle of a transaction: without the log beside it, and with the journal mode of one.
    let running = folder.path().join("running.study");
    let mut study = grown(&running, 8);
    study.add(3);
    let torn = made(folder.path(), "torn.study", &fs::read(&running).unwrap()[..4096 * 3]);
    let mut cases = no_whole_studies(folder.path(), &bytes);
    cases.push((torn, "damaged"));
    for (path, expected) in cases {
        let text = LiveView::open(&[whole.clone(), path.clone()], &options()).err().unwrap().to_string();
        assert!(text.contains(expected) && text.contains(&path.display().to_string()), "{text}");
    }
    let text = LiveView::open(&[of_schema_1(folder.path())], &options()).err().unwrap().to_string();
    assert!(text.contains("its schema is 1") && text.contains("metaqnn resume"), "{text}");
    // `user_version`, the schema, stands at byte 60.
    let mut newer = bytes.clone();
    newer[60..64].copy_from_slice(&999i32.to_be_bytes());
    let text = LiveView::open(&[made(folder.path(), "newer.study", &newer)], &options()).err().unwrap().to_string();
    assert!(text.contains("its schema is 999") && text.contains("update metaqnn"), "{text}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let study = finished(folder.path(), "digits.study", 5, 1);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let error = LiveView::open(std::slice::from_ref(&study), &LiveOptions { port, ..options() }).err().unwrap();
    assert!(matches!(error, LiveError::PortTaken(_)), "{error}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}: the port is in use")), "{error}");
    let elsewhere = LiveOptions { host: "192.0.2.1".parse().unwrap(), ..options() };
    let error = LiveView::open(&[study], &elsewhere).err().unwrap().to_string();
    assert!(error.contains("192.0.2.1:0: cannot be listened on"), "{error}");
}

/// A coordinator without trainings for bench/live_view.py: makes the study that $METAQNN_LIVE_STUDY names, of so many models as the
/// first line of standard input says, then as many more for each further line, and says what each lot took.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by bench/live_view.py"]
fn coordinator_of_a_large_study() {
    let Some(path) = std::env::var_os("METAQNN_LIVE_STUDY") else { return };
    let mut study = grown(Path::new(&path), 1);
    study.planned = 20_000;
    for line in std::io::stdin().lines() {
        let models: u64 = line.unwrap().trim().parse().unwrap();
        let cpu = || -> f64 {
            let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
            text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e3
        };
        let (begin, cpu_before) = (Instant::now(), cpu());
        study.add(models);
        let (wall, cpu) = (begin.elapsed().as_secs_f64() * 1e6, cpu() - cpu_before);
        println!(
            "lot {{\"models\": {models}, \"cpu_us\": {:.1}, \"wall_us\": {:.1}}}",
            cpu / models as f64,
            wall / models as f64
        );
    }
    study.file.close().unwrap();
}
