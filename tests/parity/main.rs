//! Numbers against the reference implementations: generators, schedules and samplers, networks, whole
//! pictures. The recorded outputs lie in `tests/fixtures/`, each beside the script that made it.

mod noise;
