//! PostgreSQL on this host: control file, process, recovery settings, SQL.
