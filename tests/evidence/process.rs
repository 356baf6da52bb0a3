//! A real server, its command line, and a database that is changed by hand.
