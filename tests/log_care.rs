//! The care of a log in files: compaction, verify, repair, backup, over a simulated disk.

mod log_care {
    pub mod backup;
    pub mod compaction;
    pub mod damage;
    pub mod repair;
    pub mod transfer;
    pub mod world;
}
