//! Ports on which other protocols than HTTP are at home.

/// The service that usually listens there, where it is one that a request by
/// HTTP must not reach: a line of it may be a command there.
///
/// The blocked ports of browsers (<https://fetch.spec.whatwg.org/#port-blocking>),
/// and the databases, queues and control planes that inner networks have.
pub fn other_protocol(port: u16) -> Option<&'static str> {
    let found = SERVICES.binary_search_by_key(&port, |(port, _)| *port);
    found.ok().map(|place| SERVICES[place].1)
}

/// In the order of the ports.
const SERVICES: [(u16, &str); 102] = [
    (0, "nothing"),
    (1, "tcpmux"),
    (7, "echo"),
    (9, "discard"),
    (11, "systat"),
    (13, "daytime"),
    (15, "netstat"),
    (17, "qotd"),
    (19, "chargen"),
    (20, "FTP"),
    (21, "FTP"),
    (22, "SSH"),
    (23, "telnet"),
    (25, "SMTP"),
    (37, "time"),
    (42, "name"),
    (43, "whois"),
    (53, "DNS"),
    (69, "TFTP"),
    (77, "rje"),
    (79, "finger"),
    (87, "ttylink"),
    (95, "supdup"),
    (101, "hostname"),
    (102, "iso-tsap"),
    (103, "gppitnp"),
    (104, "acr-nema"),
    (109, "POP"),
    (110, "POP"),
    (111, "sunrpc"),
    (113, "auth"),
    (115, "SFTP"),
    (117, "UUCP"),
    (119, "NNTP"),
    (123, "NTP"),
    (135, "epmap"),
    (137, "NetBIOS"),
    (139, "NetBIOS"),
    (143, "IMAP"),
    (161, "SNMP"),
    (179, "BGP"),
    (389, "LDAP"),
    (427, "SLP"),
    (445, "SMB"),
    (465, "SMTP"),
    (512, "exec"),
    (513, "login"),
    (514, "shell"),
    (515, "LPD"),
    (526, "tempo"),
    (530, "courier"),
    (531, "chat"),
    (532, "netnews"),
    (540, "UUCP"),
    (548, "AFP"),
    (554, "RTSP"),
    (556, "remotefs"),
    (563, "NNTP"),
    (587, "SMTP"),
    (601, "syslog"),
    (636, "LDAP"),
    (873, "rsync"),
    (989, "FTP"),
    (990, "FTP"),
    (993, "IMAP"),
    (995, "POP"),
    (1433, "SQL Server"),
    (1521, "Oracle"),
    (1719, "H.323"),
    (1720, "H.323"),
    (1723, "PPTP"),
    (2049, "NFS"),
    (2181, "ZooKeeper"),
    (2375, "Docker"),
    (2376, "Docker"),
    (2379, "etcd"),
    (2380, "etcd"),
    (3306, "MySQL"),
    (3389, "RDP"),
    (3659, "apple-sasl"),
    (4045, "NFS"),
    (4190, "Sieve"),
    (5060, "SIP"),
    (5061, "SIP"),
    (5432, "PostgreSQL"),
    (5672, "AMQP"),
    (6000, "X11"),
    (6379, "Redis"),
    (6566, "SANE"),
    (6665, "IRC"),
    (6666, "IRC"),
    (6667, "IRC"),
    (6668, "IRC"),
    (6669, "IRC"),
    (6679, "IRC"),
    (6697, "IRC"),
    (9042, "Cassandra"),
    (9092, "Kafka"),
    (10080, "Amanda"),
    (10250, "a kubelet"),
    (11211, "memcached"),
    (27017, "MongoDB"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_leaves_the_web_alone() {
        assert!(SERVICES.windows(2).all(|two| two[0].0 < two[1].0));
        for port in [80, 443, 3000, 8000, 8080, 8443, 9000, 32_768, 65_535] {
            assert_eq!(other_protocol(port), None);
        }
        assert_eq!(other_protocol(25), Some("SMTP"));
        assert_eq!(other_protocol(6379), Some("Redis"));
    }
}
