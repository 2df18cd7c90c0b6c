//! Reading write-ahead log: pages, records, checksums, commits; knows no repository.
