//! One file over HTTP: resumed where an earlier attempt stopped, and checked.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use ureq::Agent;
use ureq::http::header::{ACCEPT_ENCODING, CONTENT_RANGE, RANGE};

use super::error::Failure;

/// Seconds without a byte after which a connection is given up.
const PATIENCE: Duration = Duration::from_secs(30);
const BUFFER: usize = 1 << 16;

/// What a file must be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) bytes: u64,
    pub(super) sha256: &'a str,
}

/// A client; `secure` refuses everything but HTTPS, on redirection too.
pub(super) fn agent(secure: bool) -> Agent {
    Agent::config_builder()
        .https_only(secure)
        .http_status_as_error(false)
        .timeout_resolve(Some(PATIENCE))
        .timeout_connect(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE))
        .user_agent(concat!("lutweave/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// Completes the file `part` from `url`, and checks it. What came before a failure stays in `part`,
/// unless it is known to be wrong. `progress` is told how many bytes are there.
pub(super) fn download(
    agent: &Agent,
    url: &str,
    wanted: Wanted<'_>,
    part: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Failure> {
    let mut have = fs::metadata(part).map_or(0, |metadata| metadata.len());
    if have > wanted.bytes {
        fs::remove_file(part).map_err(write_error(part))?;
        have = 0;
    }
    progress(have);
    if have < wanted.bytes {
        continue_at(agent, url, wanted.bytes, part, have, progress)?;
    }
    let got = sha256(part).map_err(write_error(part))?;
    if got == wanted.sha256 {
        return Ok(());
    }
    fs::remove_file(part).map_err(write_error(part))?;
    Err(Failure::Checksum { url: url.to_owned(), expected: wanted.sha256.to_owned(), got })
}

/// Gets what is missing of a file of `bytes` bytes of which there are `have`.
fn continue_at(
    agent: &Agent,
    url: &str,
    bytes: u64,
    part: &Path,
    have: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Failure> {
    let answer = |what: String| Failure::Answer { url: url.to_owned(), what };
    let mut request = agent.get(url).header(ACCEPT_ENCODING, "identity");
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let response = request
        .call()
        .map_err(|cause| Failure::Http { url: url.to_owned(), cause: Box::new(cause) })?;
    let status = response.status().as_u16();
    let start = match status {
        200 => 0, // from the beginning, asked or not
        206 if starts_at(response.headers().get(CONTENT_RANGE), have) => have,
        206 => return Err(answer("the server answered with another part of the file".to_owned())),
        _ => return Err(answer(format!("the server answered {}", response.status()))),
    };
    let mut body = response.into_body();
    if let Some(length) = body.content_length().filter(|length| start + length != bytes) {
        return Err(answer(format!("expected {bytes} bytes, the server has {}", start + length)));
    }
    let mut file = File::options()
        .create(true)
        .write(true)
        .append(start > 0)
        .truncate(start == 0)
        .open(part)
        .map_err(write_error(part))?;
    let (mut buffer, mut there) = (vec![0; BUFFER], start);
    let mut reader = body.as_reader();
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(cause) => return Err(Failure::Broken { url: url.to_owned(), cause }),
        };
        there += count as u64;
        if there > bytes {
            return Err(answer(format!("expected {bytes} bytes, the server sends more")));
        }
        file.write_all(&buffer[..count]).map_err(write_error(part))?;
        progress(there);
    }
    file.sync_all().map_err(write_error(part))?;
    if there < bytes {
        return Err(answer(format!("the connection ended after {there} of {bytes} bytes")));
    }
    Ok(())
}

/// Whether a `Content-Range` such as `bytes 100-199/200` starts at `have`.
fn starts_at(range: Option<&ureq::http::HeaderValue>, have: u64) -> bool {
    let text = range.and_then(|range| range.to_str().ok()).unwrap_or_default();
    let start = text.strip_prefix("bytes ").and_then(|text| text.split_once('-'));
    start.is_some_and(|(start, _)| start.parse() == Ok(have))
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_path_buf();
    move |cause| Failure::Write { path, cause }
}

/// SHA-256 of a file, in hexadecimal.
pub(super) fn sha256(path: &Path) -> io::Result<String> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hash.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut text = String::new();
    for byte in hash.finalize() {
        let _ = write!(text, "{byte:02x}"); // writing to a string does not fail
    }
    Ok(text)
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;

    use super::*;

    /// How a server answers one request for `content`.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Answer {
        /// The file, or the part asked for.
        Right,
        /// The whole file, whatever was asked for.
        Whole,
        /// Breaks off after so many bytes.
        Breaks(usize),
        /// This status.
        Status(&'static str),
        /// A part that was not asked for.
        WrongPart,
    }

    /// A server on this machine that gives these answers, one a connection; its address, and what
    /// was asked of it.
    pub(crate) fn serve(
        content: Vec<u8>,
        answers: Vec<Answer>,
    ) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let handle = std::thread::spawn(move || {
            answers.iter().map(|&answer| reply(&listener, &content, answer)).collect()
        });
        (url, handle)
    }

    fn reply(listener: &TcpListener, content: &[u8], answer: Answer) -> String {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let range = lines.iter().find_map(|line| {
            let line = line.to_ascii_lowercase();
            line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
        });
        let start = range.filter(|_| !matches!(answer, Answer::Whole)).unwrap_or(0);
        let shift = usize::from(matches!(answer, Answer::WrongPart));
        let status = match answer {
            Answer::Status(status) => status,
            _ if start > 0 => "206 Partial Content",
            _ => "200 OK",
        };
        let body = if matches!(answer, Answer::Status(_)) { &[] } else { &content[start..] };
        let sent = if let Answer::Breaks(count) = answer { &body[..count] } else { body };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Range: bytes {}-{}/{}\r\n\
             Connection: close\r\n\r\n",
            body.len(),
            start + shift,
            content.len().max(1) - 1,
            content.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // The client may have gone away already.
        let _ = stream.write_all(sent);
        format!("{} from {start}", lines[0])
    }

    fn content() -> Vec<u8> {
        (0..200_000u32).map(|i| (i % 251) as u8).collect()
    }

    fn hash(content: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), content).unwrap();
        sha256(&folder.path().join("file")).unwrap()
    }

    #[test]
    fn hashes_are_the_standard_ones() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash(b"abc"), expected);
    }

    #[test]
    fn goes_on_where_it_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let (part, content) = (folder.path().join("file.part"), content());
        let sha256 = hash(&content);
        let wanted = Wanted { bytes: content.len() as u64, sha256: &sha256 };
        let answers = vec![Answer::Breaks(70_000), Answer::Right, Answer::Whole];
        let (url, server) = serve(content.clone(), answers);
        let mut seen = Vec::new();
        let mut get = || download(&agent(false), &url, wanted, &part, &mut |at| seen.push(at));

        let error = get().unwrap_err();
        assert!(error.to_string().contains(&url), "{error}");
        let kept = fs::metadata(&part).unwrap().len();
        assert!((1..=70_000).contains(&kept), "{kept}");
        get().unwrap();
        assert_eq!(fs::read(&part).unwrap(), content);
        // A server that cannot resume begins again.
        fs::write(&part, &content[..1000]).unwrap();
        get().unwrap();
        assert_eq!(fs::read(&part).unwrap(), content);
        get().unwrap(); // nothing is missing: the server is not asked
        assert_eq!(seen.last(), Some(&wanted.bytes));
        let asked = server.join().unwrap();
        assert_eq!(asked[1], format!("GET / HTTP/1.1 from {kept}"));
    }

    #[test]
    fn what_is_wrong_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (part, content) = (folder.path().join("file.part"), content());
        let (bytes, right) = (content.len() as u64, hash(&content));
        let answers =
            [Answer::Right, Answer::Right, Answer::Status("404 Not Found"), Answer::WrongPart];
        let (url, server) = serve(content.clone(), answers.to_vec());
        let get = |bytes, sha256: &str| {
            let wanted = Wanted { bytes, sha256 };
            download(&agent(false), &url, wanted, &part, &mut |_| {}).unwrap_err().to_string()
        };
        let error = get(bytes, &"0".repeat(64));
        assert!(error.contains("expected SHA-256 000") && error.contains(&right), "{error}");
        assert!(!part.exists());
        let error = get(bytes + 1, &right);
        assert!(error.contains("expected 200001 bytes, the server has 200000"), "{error}");
        assert!(get(bytes, &right).contains("the server answered 404 Not Found"));
        fs::write(&part, &content[..10]).unwrap();
        assert!(get(bytes, &right).contains("another part of the file"));
        assert_eq!(fs::read(&part).unwrap(), content[..10]);
        server.join().unwrap();
        assert!(get(bytes, &right).contains(&url), "nobody answers any more");
        fs::write(&part, [&content[..], &[0]].concat()).unwrap();
        get(bytes, &right);
        assert!(!part.exists(), "longer than the file can be");
    }

    #[test]
    fn plain_http_is_refused_where_it_must_be_secure() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = Wanted { bytes: 1, sha256: "" };
        let part = folder.path().join("part");
        let error = download(&agent(true), "http://127.0.0.1:9/", wanted, &part, &mut |_| {});
        assert!(error.unwrap_err().to_string().to_lowercase().contains("https"));
    }
}
