//! Hashes for the tests of this folder.

/// Made by `htpasswd -nbB`, by `htpasswd -nbB -C 4` and by `argon2`, and the password of each.
pub(super) const MADE_BY_OTHERS: &[(&str, &str)] = &[
    ("$2y$05$DMRM25sg9kt8d9xhyXHjG.g2baE2Rd3xHhHpAydYvoiJOpU1Lr0Sy", "wonderland"),
    ("$2y$04$Z5l5hTg5a3kgR5LRjphxy.JzVyvDQ7UW5bY9pKwth714btNnqS4qK", "p:ss wörd"),
    ("$2y$04$cPuyB7EBoPeB7lc60N/Uy.4cdZuEt3vBRkVMXwOjjgEw0zQRH6Qz6", ""),
    (
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0\
         $Kw3/ZjLNvvrvmWv7DSmJdvIaVuO5yzpUAyMmNiCnHLI",
        "correct horse",
    ),
    (
        "$argon2id$v=19$m=256,t=2,p=2$c2FsdHNhbHRzYWx0\
         $/L1DnG+r7F7kpVt15hQPMPhz6puqsD0IXWRJ6WLqTxo",
        "correct horse",
    ),
];
