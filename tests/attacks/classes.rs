//! The classes of bugs that FTP servers are known for, and for each the tests that fail where one of them is there.
//! There is no log in JSON, no SQL, no shell and no MODE Z here that could be attacked.

use std::path::Path;

/// A class, and `file: test` of each of its tests; files are below `tests`, or of `src`.
const CLASSES: &[(&str, &[&str])] = &[
    (
        ".., absolute names and look-alikes in any command",
        &["sandbox/escape.rs: dots_in_every_command", "src/fs/path.rs: dots_are_taken_out"],
    ),
    ("a sibling whose name begins like the root's", &["sandbox/escape.rs: dots_in_every_command"]),
    (
        "links that lead out, also in the middle of a name, for reading, writing, CWD and RNTO",
        &[
            "sandbox/escape.rs: links_that_lead_out",
            "sandbox/escape.rs: links_that_stay_inside_are_followed_unless_none_are",
        ],
    ),
    ("/proc's links, which are no paths", &["sandbox/escape.rs: magic_links_lead_nowhere"]),
    (
        "a name that changes between check and use",
        &[
            "sandbox/race.rs: a_directory_and_a_link_out_change_places",
            "sandbox/race.rs: the_working_directory_is_swapped_away",
            "sandbox/race.rs: a_hundred_thousand_reads",
            "sandbox/race.rs: a_file_and_a_fifo_change_places",
        ],
    ),
    (
        "FIFOs, sockets, devices, loops and dangling links",
        &[
            "sandbox/hard.rs: every_command_about_everything_that_is_no_file",
            "sandbox/hard.rs: a_dangling_link_is_a_link_and_makes_no_file",
            "sandbox/special.rs: a_fifo_a_socket_and_a_device_are_refused_at_once",
        ],
    ),
    ("what may not be read", &["sandbox/hard.rs: what_may_not_be_read_is_refused"]),
    (
        "the longest names and paths, the deepest directories, odd facts",
        &[
            "sandbox/hard.rs: names_of_255_octets_of_every_kind",
            "sandbox/hard.rs: the_longest_path_and_one_octet_more",
            "sandbox/hard.rs: five_thousand_levels",
            "sandbox/hard.rs: facts_at_their_edges",
        ],
    ),
    (
        "a command that forgets the right it needs",
        &[
            "sandbox/special.rs: rights_bound_every_command",
            "sandbox/special.rs: a_drop_box_takes_new_files_and_shows_nothing",
        ],
    ),
    (
        "any command before login, after a failed PASS, after REIN",
        &[
            "sandbox/gate.rs: nothing_is_done_before_login",
            "sandbox/gate.rs: what_is_for_everybody_is_known",
            "sandbox/gate.rs: pass_needs_user_and_a_user_is_not_changed_in_passing",
        ],
    ),
    ("a missing home that becomes /", &["sandbox/escape.rs: a_root_that_disappeared_refuses_the_login"]),
    (
        "FTP bounce, in all spellings",
        &[
            "attacks/bounce.rs: the_server_connects_to_the_client_alone",
            "attacks/bounce.rs: no_system_port_is_connected_to",
            "attacks/bounce.rs: a_long_list_of_numbers_is_no_address",
        ],
    ),
    (
        "theft of passive ports, and ports that can be guessed",
        &[
            "limits/passive.rs: a_stranger_is_dropped_and_the_listener_goes_on",
            "limits/passive.rs: the_second_connection_of_the_client_is_not_served",
            "limits/passive.rs: ports_are_drawn_at_random",
        ],
    ),
    (
        "commands injected behind AUTH",
        &[
            "tls/commands.rs: what_was_pipelined_behind_auth_is_not_heard",
            "tls/commands.rs: what_was_said_before_auth_is_forgotten",
        ],
    ),
    (
        "TLS that is taken off",
        &[
            "tls/commands.rs: a_login_in_the_clear_is_refused_before_the_password",
            "tls/commands.rs: data_in_the_clear_is_refused_where_all_must_be_protected",
        ],
    ),
    (
        "a data connection with somebody else's TLS session",
        &[
            "tls/binding.rs: a_session_of_another_control_connection_is_refused",
            "tls/binding.rs: a_full_handshake_is_refused_under_way_where_reuse_is_required",
        ],
    ),
    (
        "an upload that is cut off and counts as whole",
        &["tls/endings.rs: an_upload_that_ends_without_close_notify_is_426_and_its_part_stays"],
    ),
    (
        "HTTP at the FTP port (ALPACA)",
        &[
            "attacks/foreign.rs: nothing_behind_an_http_request_is_carried_out",
            "sandbox/gate.rs: a_browser_is_not_answered",
            "tls/handshakes.rs: another_protocol_gets_the_alert",
        ],
    ),
    (
        "names that forge replies, listings or lines of a log",
        &[
            "sandbox/names.rs: control_characters_on_disk_forge_nothing",
            "sandbox/names.rs: a_directory_with_a_bad_name_as_root_forges_nothing",
            "sandbox/names.rs: the_log_has_one_line_for_one_event",
            "src/log/text.rs: transfer_lines",
            "src/log/text.rs: nothing_shown_begins_a_line",
        ],
    ),
    ("names that come out otherwise than they went in", &["sandbox/names.rs: every_octet_of_a_name_survives"]),
    (
        "a line without an end",
        &["limits/control.rs: a_line_that_is_too_long_is_one_500", "limits/control.rs: a_gibibyte_without_an_end"],
    ),
    (
        "runs of IAC, lines that begin with their end, one octet a segment",
        &[
            "attacks/foreign.rs: runs_of_iac",
            "attacks/foreign.rs: lines_that_begin_with_their_end",
            "attacks/foreign.rs: one_octet_a_segment",
            "src/protocol/line.rs: telnet_in_a_long_line_costs_what_it_costs_in_a_short_one",
        ],
    ),
    (
        "commands whose replies nobody reads",
        &[
            "limits/control.rs: a_client_that_reads_no_replies_is_not_read_from",
            "limits/control.rs: a_million_commands_before_the_first_reply_is_read",
            "limits/control.rs: lines_wait_for_a_transfer_up_to_a_bound",
            "tls/transfers.rs: replies_that_nobody_reads_are_bounded_under_tls",
        ],
    ),
    (
        "slow loris, at every state",
        &[
            "limits/loris.rs: each_state_has_its_clock",
            "tls/handshakes.rs: a_handshake_that_stalls_on_a_control_connection_is_ended",
            "tls/handshakes.rs: a_handshake_that_stalls_on_a_data_connection_is_425",
        ],
    ),
    (
        "bombs of globs and braces",
        &["limits/listings.rs: no_pattern_takes_for_ever", "src/fs/glob.rs: bombs_take_no_time"],
    ),
    (
        "LIST -R of a tree that is deep, broad or round",
        &[
            "limits/listings.rs: list_r_goes_so_deep_and_follows_no_link",
            "limits/listings.rs: list_r_shows_so_many",
            "limits/listings.rs: list_r_holds_no_path_for_each_directory",
        ],
    ),
    (
        "numbers at their edges: REST, ALLO, PORT, EPRT, MFMT, modes",
        &[
            "attacks/integers.rs: what_is_no_number_is_501",
            "attacks/integers.rs: positions_that_no_file_has",
            "attacks/integers.rs: more_room_than_there_is",
            "attacks/integers.rs: a_time_is_refused_or_what_is_told_is_kept",
        ],
    ),
    (
        "users told by replies or by time",
        &["attacks/login.rs: who_exists_is_not_told", "src/auth/tests.rs: every_refusal_costs_the_same"],
    ),
    (
        "empty passwords, and very long ones",
        &["attacks/login.rs: passwords_of_every_length", "src/auth/tests.rs: every_refusal_costs_the_same"],
    ),
    ("passwords tried one after another", &["limits/control.rs: the_third_wrong_password_ends_the_session"]),
    ("setuid, setgid and sticky bits", &["attacks/integers.rs: no_setuid_setgid_or_sticky_bit"]),
    (
        "back doors: vsftpd's smile, ProFTPD's ACIDBITCHEZ, SITE EXEC and CPFR",
        &["attacks/login.rs: the_back_doors_of_others"],
    ),
    (
        "descriptors that run out, or are not given back",
        &[
            "limits/descriptors.rs: without_descriptors_callers_are_told_421",
            "limits/sessions.rs: sessions_that_come_and_go_leave_nothing",
            "tls/handshakes.rs: whoever_leaves_in_the_middle_leaves_nothing_behind",
        ],
    ),
];

#[test]
fn each_class_has_its_tests() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (class, tests) in CLASSES {
        assert!(!tests.is_empty(), "{class}: no test");
        for named in *tests {
            let (file, test) = named.split_once(": ").unwrap();
            let path = if file.starts_with("src/") { home.join(file) } else { home.join("tests").join(file) };
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{named}: {error}"));
            let before = text.split_once(&format!("fn {test}() {{")).map(|(before, _)| before);
            let before = before.unwrap_or_else(|| panic!("{class}: there is no {named}"));
            let attributes: Vec<&str> =
                before.trim_end().lines().rev().take_while(|line| !line.trim().is_empty()).collect();
            assert!(attributes.iter().any(|line| line.trim() == "#[test]"), "{class}: {named} is no test");
        }
    }
}
