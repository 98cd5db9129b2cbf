//! One client connection: greeting, CONNECT, TLS, the fence. Blocking, with timeouts.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::error::{LoadError, shown};
use crate::options::Options;

/// What a subscriber reads at once (bytes).
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// A connection that the server has answered with PONG.
pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    #[cfg(feature = "tls")]
    tls: Option<Box<crate::tls::Session>>,
    /// Bytes of a line that is not whole yet.
    ahead: Vec<u8>,
}

impl Connection {
    /// Connects and waits for the PONG.
    pub(crate) fn open(options: &Options) -> Result<Self, LoadError> {
        let doing = || format!("connect to {}", options.address);
        let socket = TcpStream::connect_timeout(&options.address, options.timeout)
            .map_err(|error| LoadError::io(doing(), error))?;
        let mut connection = Self {
            socket,
            #[cfg(feature = "tls")]
            tls: None,
            ahead: Vec::new(),
        };
        connection
            .greet(options)
            .map_err(|error| LoadError::Server(format!("{}: {error}", doing())))?;
        Ok(connection)
    }

    fn greet(&mut self, options: &Options) -> Result<(), LoadError> {
        let set = |result: io::Result<()>| result.map_err(|error| LoadError::io("set up", error));
        set(self.socket.set_nodelay(true))?;
        set(self.socket.set_read_timeout(Some(options.timeout)))?;
        set(self.socket.set_write_timeout(Some(options.timeout)))?;
        let info = self.line()?;
        if !info.starts_with(b"INFO ") {
            let shown = shown(&info);
            return Err(LoadError::Server(format!("the server greeted with \"{shown}\"")));
        }
        #[cfg(feature = "tls")]
        if options.tls {
            let session = crate::tls::Session::shake_hands(&mut self.socket)
                .map_err(|error| LoadError::io("TLS handshake", error))?;
            self.tls = Some(Box::new(session));
        }
        self.send(connect_line(options.user.as_ref()).as_bytes())?;
        self.fence()
    }

    /// Writes all of `bytes`.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        self.write_all(bytes).map_err(|error| LoadError::io("write to the server", error))
    }

    /// Sends PING and waits for its PONG: the server has then taken all that was sent before.
    pub(crate) fn fence(&mut self) -> Result<(), LoadError> {
        self.send(b"PING\r\n")?;
        loop {
            let line = self.line()?;
            match line.as_slice() {
                b"PONG\r\n" => return Ok(()),
                b"PING\r\n" => self.send(b"PONG\r\n")?,
                line if line.starts_with(b"INFO ") || line.starts_with(b"+OK") => {}
                line => {
                    let shown = shown(line);
                    let problem = format!("instead of PONG the server sent \"{shown}\"");
                    return Err(LoadError::Server(problem));
                }
            }
        }
    }

    /// The next whole line, with its line end.
    fn line(&mut self) -> Result<Vec<u8>, LoadError> {
        loop {
            if let Some(at) = self.ahead.iter().position(|&byte| byte == b'\n') {
                let rest = self.ahead.split_off(at + 1);
                return Ok(std::mem::replace(&mut self.ahead, rest));
            }
            let mut buffer = [0; 4096];
            let read = self
                .read(&mut buffer)
                .map_err(|error| LoadError::io("wait for the server's answer", error))?;
            if read == 0 {
                return Err(LoadError::Server("the server closed the connection".to_owned()));
            }
            self.ahead.extend_from_slice(&buffer[..read]);
        }
    }

    /// Reads and throws away up to the length of `buffer`, in which nothing of it appears; a TLS
    /// session must decrypt it all the same.
    pub(crate) fn skim(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return self.read(buffer);
        }
        let flags = rustix::net::RecvFlags::TRUNC;
        Ok(rustix::net::recv(&self.socket, buffer, flags)?.1)
    }

    /// How long a read may wait.
    pub(crate) fn set_patience(&self, patience: Duration) -> Result<(), LoadError> {
        self.socket
            .set_read_timeout(Some(patience))
            .map_err(|error| LoadError::io("set the read timeout", error))
    }

    /// Whether reads and writes return at once.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> Result<(), LoadError> {
        self.socket
            .set_nonblocking(nonblocking)
            .map_err(|error| LoadError::io("set the blocking mode", error))
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.read(&mut self.socket, buffer);
        }
        self.socket.read(buffer)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.write(&mut self.socket, bytes);
        }
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a read or write only has to be tried again later.
pub(crate) fn try_later(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

/// CONNECT without PING. Protocol 0: no INFO comes later, between deliveries.
pub(crate) fn connect_line(user: Option<&(String, String)>) -> String {
    let credentials = user.map_or_else(String::new, |(user, password)| {
        format!(r#","user":"{}","pass":"{}""#, escaped(user), escaped(password))
    });
    format!(
        concat!(
            r#"CONNECT {{"verbose":false,"pedantic":false,"headers":true,"lang":"rust","#,
            r#""version":"{}","name":"keelback-load"{}}}"#,
            "\r\n"
        ),
        env!("CARGO_PKG_VERSION"),
        credentials
    )
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_escaped_in_the_json() {
        let user = ("a\"b".to_owned(), "c\\d".to_owned());
        let line = connect_line(Some(&user));
        assert!(line.contains(r#""user":"a\"b","pass":"c\\d"}"#), "{line}");
    }
}
