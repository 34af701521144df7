//! Tickets: how they are written and read, and the book of open ones.

use super::*;

fn hinted() -> Ticket {
    let addresses = vec![
        "/ip4/192.168.7.20/udp/4001/quic-v1".to_owned(),
        "/dns/relay.example/tcp/443".to_owned(),
    ];
    ticket().hinting(vec![0x12, 0x20, 0xff], addresses).unwrap()
}

fn same(a: &Ticket, b: &Ticket) -> bool {
    (a.secret.expose(), &a.peer, &a.addresses, a.expires)
        == (b.secret.expose(), &b.peer, &b.addresses, b.expires)
}

/// Guards both forms: they come back as they were; words carry the secret, the line carries all.
#[test]
fn a_ticket_is_read_as_it_was_written() {
    for ticket in [
        ticket(),
        hinted(),
        Ticket::new(NOW),
        Ticket::of(&[0; 16]),
        Ticket::of(&[255; 16]),
    ] {
        let line = ticket.line();
        assert!(same(&Ticket::parse(&line).ok().unwrap(), &ticket));
        assert!(same(&Ticket::parse(&line.to_uppercase()).ok().unwrap(), &ticket));
        let words = ticket.words();
        assert_eq!(words.split(' ').count(), 12);
        let read = Ticket::parse(&words).ok().unwrap();
        assert_eq!(read.secret.expose(), ticket.secret.expose());
        assert_eq!((read.expires, read.topic()), (None, ticket.topic()));
    }
    assert_eq!(Ticket::new(NOW).expires(), Some(NOW + 900));
    assert_ne!(Ticket::new(NOW).secret.expose(), Ticket::new(NOW).secret.expose());
}

/// Guards forgiveness: what people and scanners do to a ticket.
#[test]
fn what_people_type_is_read() {
    let ticket = hinted();
    let (line, words) = (ticket.line(), ticket.words());
    let four: Vec<String> = words
        .split(' ')
        .map(|word| word.chars().take(4).collect())
        .collect();
    let numbered: Vec<String> = words
        .split(' ')
        .enumerate()
        .map(|(n, w)| format!("{}. {w}", n + 1))
        .collect();
    let grouped: String = line[7..]
        .chars()
        .enumerate()
        .fold("Coffer: ".to_owned(), |mut text, (n, c)| {
            text.push(c);
            if n % 8 == 7 {
                text.push_str(if n % 16 == 7 { "-" } else { "\n  " });
            }
            text
        });
    for typed in [
        words.to_uppercase(),
        format!("  {}\n", words.replace(' ', "\n")),
        words.replace(' ', "-"),
        words.replace(' ', ", "),
        four.join(" "),
        numbered.join("\n"),
        grouped,
        format!("\n {} \r\n", &*line),
    ] {
        let read = Ticket::parse(&typed).map(|read| read.secret.expose() == ticket.secret.expose());
        assert_eq!(read, Ok(true), "{typed}");
    }
}

/// Guards mistakes: they are found, and said by their place; never what was typed.
#[test]
fn what_was_mistyped_is_said() {
    let error = |text: &str| Ticket::parse(text).err();
    let words = ticket().words().to_string();
    let with = |n: usize, word: &str| {
        let mut all: Vec<&str> = words.split(' ').collect();
        all[n] = word;
        all.join(" ")
    };
    assert_eq!(error(""), Some(TicketError::Count(0)));
    assert_eq!(
        error(words.rsplit_once(' ').unwrap().0),
        Some(TicketError::Count(11))
    );
    assert_eq!(error(&format!("{words} zoo")), Some(TicketError::Count(13)));
    assert_eq!(error(&with(4, "coffer")), Some(TicketError::Unknown(5)));
    assert_eq!(error(&with(0, "zo")), Some(TicketError::Unknown(1)));
    assert_eq!(error(&with(11, "абвг")), Some(TicketError::Unknown(12)));
    // One in sixteen swaps has the right checksum by chance: this one has not.
    assert_eq!(error(&with(2, "zoo")), Some(TicketError::Words));
    let line = hinted().line().to_string();
    for len in 7..line.len() {
        assert_eq!(error(&line[..len]), Some(TicketError::Line), "{len}");
    }
    for at in 7..line.len() {
        let mut bytes = line.clone().into_bytes();
        bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
        assert_eq!(
            error(&String::from_utf8(bytes).unwrap()),
            Some(TicketError::Line),
            "{at}"
        );
    }
    for junk in [
        "coffer:",
        "coffer:!",
        "coffer:018",
        "coffer:ä",
        &format!("coffer:{}", "a".repeat(100_000)),
        "coffe",
        "ä",
        "coffer\u{301}:",
    ] {
        assert!(error(junk).is_some(), "{junk:.20}");
    }
}

/// Guards bounds of hints.
#[test]
fn hints_are_bounded() {
    let address = |len: usize| vec!["/".repeat(len)];
    assert!(ticket().hinting(vec![0; 64], address(128)).is_ok());
    assert!(ticket().hinting(vec![0; 65], address(1)).is_err());
    assert!(ticket().hinting(vec![], address(129)).is_err());
    assert!(ticket().hinting(vec![], address(0)).is_err());
    assert!(ticket().hinting(vec![], vec!["/".to_owned(); 9]).is_err());
    let longest = ticket().hinting(vec![1; 64], vec!["/".repeat(128); 8]).unwrap();
    assert!(same(&Ticket::parse(&longest.line()).ok().unwrap(), &longest));
}

/// Guards the book: sixteen at most, gone with their time, closed one by one.
#[test]
fn the_book_is_bounded() {
    let mut tickets = Tickets::new();
    for n in 0..TICKETS_MAX as u8 {
        tickets
            .open(NOW, &Ticket::of(&[n; 16]).ending(NOW + 60 + u64::from(n)))
            .unwrap();
    }
    assert_eq!(tickets.open(NOW, &ticket()), Err(TooManyTickets));
    tickets.close(&Ticket::of(&[3; 16]));
    assert_eq!(tickets.open(NOW, &ticket()), Ok(()));
    tickets.expire(NOW + 60 + 4);
    assert_eq!(tickets.len(), TICKETS_MAX - 4);
    // Words alone do not say when they end: nobody opens an invitation from them by mistake.
    tickets.open(NOW + 64, &Ticket::of(&[9; 16])).unwrap();
    tickets.expire(NOW + 64);
    assert_eq!(tickets.len(), TICKETS_MAX - 4);
}

/// Guards an invitation's end: it is so many seconds from now, by the book's clock, whatever end the ticket shows by another one.
#[test]
fn an_invitation_ends_by_the_books_clock() {
    let shown = |end| Ticket::of(&[1; 16]).ending(end);
    for end in [0, 1, NOW + 1_000_000, u64::MAX] {
        let mut tickets = Tickets::new();
        tickets.open_for(NOW, &shown(end), 60).unwrap();
        tickets.expire(NOW + 59);
        assert_eq!(tickets.len(), 1);
        let mut prove = |now| {
            tickets.prove(now, |secret| {
                (secret.expose() == shown(0).secret.expose()).then_some(())
            })
        };
        assert!(prove(NOW + 60).is_none() && prove(NOW).is_none());
    }
}

/// Guards a ticket that is opened twice: it is one, with the end that it had, and is used up at once.
#[test]
fn a_ticket_that_is_opened_twice_is_one() {
    let mut tickets = Tickets::new();
    let again = |end| Ticket::of(&[1; 16]).ending(NOW + end);
    for end in [60, 600, 1] {
        tickets.open(NOW, &again(end)).unwrap();
    }
    assert_eq!(tickets.len(), 1);
    let held = tickets.prove(NOW, |secret| {
        (secret.expose() == again(0).secret.expose()).then_some(())
    });
    assert!(held.is_some() && tickets.is_empty());
    tickets.open(NOW, &again(60)).unwrap();
    tickets.open(NOW, &again(600)).unwrap();
    tickets.expire(NOW + 60);
    assert!(tickets.is_empty());
}

/// Guards the QR code: its size follows from the text, every line is as wide, it has its quiet zone; and what has no room is said.
#[test]
fn a_line_is_drawn() {
    let drawn = hinted().qr().unwrap();
    let lines: Vec<&str> = drawn.lines().collect();
    let bare: Vec<Vec<char>> = lines
        .iter()
        .map(|line| {
            line.trim_start_matches("\x1b[38;5;16;48;5;231m")
                .trim_end_matches("\x1b[0m")
                .chars()
                .collect()
        })
        .collect();
    let width = bare[0].len();
    assert!(bare.iter().all(|line| line.len() == width) && width.div_ceil(2) == bare.len());
    assert!(bare[..2].iter().flatten().all(|c| *c == ' ') && bare.iter().all(|line| line[..4] == [' '; 4]));
    // A finder pattern: seven dark modules, in its corner.
    assert_eq!(bare[2][4..12].iter().collect::<String>(), "█▀▀▀▀▀█ ");
    assert!(width < 80, "{width} columns do not fit a terminal");
    let longest = ticket().hinting(vec![1; 64], vec!["/".repeat(128); 8]).unwrap();
    assert!(longest.qr().is_ok());
    assert_eq!(qr(&"x".repeat(5000)), Err(TooLongForQr));
}
