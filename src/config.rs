//! pgBackRest's configuration: files, environment, command line, layered with every value's origin.
