use proptest::prelude::*;

use super::*;

/// 28 messages in three subjects, sequences 5 and 6 deleted, one consumer: backed up by
/// nats-server 2.15.1.
const GENUINE: &[u8] = include_bytes!("data/nats-server-2.15.1.s2");

fn read(archive: &[u8]) -> Result<Vec<Entry>, ArchiveError> {
    let mut reader = Reader::new(archive, 1 << 20)?;
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries.push(entry);
    }
    Ok(entries)
}

fn write(entries: &[Entry]) -> Vec<u8> {
    let mut archive = Vec::new();
    let written = Writer::new(&mut archive).and_then(|mut writer| {
        entries.iter().try_for_each(|entry| writer.add(entry))?;
        writer.finish()
    });
    assert!(written.is_ok());
    archive
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..60);
    let entry =
        (prop::collection::vec(1_u8.., 1..20), any::<i64>(), any::<u64>(), bytes(), bytes());
    let entry = entry.prop_map(|(name, time_ns, sequence, headers, payload)| Entry {
        name,
        time_ns,
        sequence,
        headers,
        payload,
    });
    prop::collection::vec(entry, 0..20)
}

proptest! {
    #[test]
    fn what_was_written_is_read(entries in entries()) {
        prop_assert_eq!(read(&write(&entries)).ok(), Some(entries));
    }

    #[test]
    fn an_archive_that_is_cut_off_or_changed_is_an_error(entries in entries(), at: prop::sample::Index) {
        let whole = write(&entries);
        let at = at.index(whole.len());
        prop_assert!(read(&whole[..at]).is_err());
        let mut changed = whole;
        changed[at] ^= 0x10;
        // The length of a chunk that is skipped is all that no check covers.
        if let Ok(found) = read(&changed) {
            prop_assert_eq!(found, entries);
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_an_archive(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }
}

#[test]
fn the_archive_of_nats_server_is_read() {
    let Ok(entries) = read(GENUINE) else { panic!("the archive cannot be read") };
    let names = entries[..2].iter().map(|entry| String::from_utf8_lossy(&entry.name));
    assert_eq!(names.collect::<Vec<_>>(), ["state.json", "consumers/C"]);
    let messages = &entries[2..];
    let sequences = messages.iter().map(|message| message.sequence).collect::<Vec<_>>();
    assert_eq!(sequences, (1..=30).filter(|it| ![5, 6].contains(it)).collect::<Vec<_>>());
    for message in messages {
        let number = message.sequence - 1;
        assert_eq!(message.name, format!("a.{}", number % 3).into_bytes());
        let times = 1 + number as usize % 4;
        assert_eq!(message.payload, format!("payload {number} ").repeat(times).into_bytes());
        let headers = format!("NATS/1.0\r\nK: v{number}\r\n\r\n");
        let expected = if number % 2 == 1 { headers.into_bytes() } else { Vec::new() };
        assert_eq!(message.headers, expected);
        assert!(message.time_ns > 0);
    }
    assert_eq!(read(&write(&entries)).ok(), Some(entries));
}

#[test]
fn what_claims_too_much_or_is_of_another_kind_is_refused() {
    let large = Entry { payload: vec![0; (1 << 20) + 1], ..Entry::default() };
    assert!(matches!(read(&write(&[large])), Err(ArchiveError::TooLarge(_))));
    let packed = |content: &[u8]| {
        let mut bytes = Vec::new();
        let mut writer = s2::Writer::new(&mut bytes);
        assert!(writer.write_all(content).and_then(|()| writer.flush()).is_ok());
        drop(writer);
        bytes
    };
    assert!(matches!(read(&packed(b"meta.inf\0\0\0")), Err(ArchiveError::Older)));
    assert!(matches!(read(&packed(b"something else")), Err(ArchiveError::NoArchive)));
    assert!(matches!(read(&packed(b"NATSARC1")), Err(ArchiveError::CutOff)));
    assert!(read(b"no S2 at all").is_err());
    let endless = [b"NATSARC1".to_vec(), vec![0xff; 40]].concat();
    assert!(matches!(read(&packed(&endless)), Err(ArchiveError::NoArchive)));
}
