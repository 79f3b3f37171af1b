// Defines the parts of a crash page as Swift values: bounded, strings cut at the first NUL and repaired to valid UTF-8.

import CGraniteCapture
package import GraniteReport

extension CrashPage {
    /// What the supervisor and the worker note while all is well.
    package struct Status: Sendable, Equatable {
        package var crashID: String
        package var slot: UInt32
        package var generation: UInt32
        /// 0 off, 1 short, 2 full.
        package var level: UInt32
        /// 0 before the worker installed its handler.
        package var pid: Int32
        /// Whether the app was imported and requests are accepted.
        package var isReady: Bool
        /// CLOCK_REALTIME.
        package var startedNanoseconds: UInt64
        /// CLOCK_MONOTONIC of the event loop's last turn; 0 = none yet.
        package var heartbeatNanoseconds: UInt64
        package var requestsServed: UInt64
        package var residentBytes: UInt64
        /// `_PyRuntime`, nil before the interpreter runs.
        package var pythonRuntime: Address?
        /// `PY_VERSION_HEX`.
        package var pythonVersion: UInt32
        /// Drop sites that were only counted.
        package var suppressedCaptures: UInt32
        /// The code that the process gave to exit(3) or _exit(2), where that is watched.
        package var exitCode: Int32?

        /// All that is not named is 0 or nil.
        init(crashID: String, level: UInt32, pid: Int32) {
            self.crashID = crashID
            self.level = level
            self.pid = pid
            (slot, generation) = (0, 0)
            isReady = true
            (startedNanoseconds, heartbeatNanoseconds, requestsServed, residentBytes) = (0, 0, 0, 0)
            (pythonVersion, suppressedCaptures) = (0, 0)
        }

        init(_ head: CrashPageHead) {
            crashID = text(of: head.crashID)
            slot = head.slot
            generation = head.generation
            level = head.level
            pid = Int32(truncatingIfNeeded: head.pid)
            isReady = head.ready != 0
            startedNanoseconds = head.startedNanoseconds
            heartbeatNanoseconds = head.heartbeatNanoseconds
            requestsServed = head.requestsServed
            residentBytes = head.residentBytes
            pythonRuntime = head.pythonRuntime == 0 ? nil : Address(head.pythonRuntime)
            pythonVersion = head.pythonVersion
            suppressedCaptures = head.suppressedCaptures
            exitCode = head.exitNote & UInt32(GRANITE_EXIT_NOTED) != 0 ? Int32(head.exitNote & 0xff) : nil
        }
    }

    /// How far a capture came (`enum granite_stage`). Ordered.
    package enum Stage: UInt32, Sendable, Comparable {
        case idle, claimed, parked, walked, copied, served, finished
        package static func < (left: Stage, right: Stage) -> Bool { left.rawValue < right.rawValue }
    }

    /// What began a capture (`enum granite_capture_kind`).
    package enum Kind: UInt32, Sendable {
        case none, signal, dropSite, unraisable, threadException, dump, hang, panic, growth, uncaught
    }

    /// Why a dump or a hang was asked for (`enum granite_cause`).
    package enum Cause: UInt32, Sendable {
        case none, asked, requestTimeout, requestKillTimeout, stallTimeout
    }

    /// `enum granite_capture_flag`.
    package struct Flags: OptionSet, Sendable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let secondFault = Flags(rawValue: GRANITE_CAPTURE_SECOND_FAULT.rawValue)
        package static let parkTimedOut = Flags(rawValue: GRANITE_CAPTURE_PARK_TIMED_OUT.rawValue)
        package static let threadsTruncated = Flags(rawValue: GRANITE_CAPTURE_THREADS_TRUNCATED.rawValue)
        package static let snapshotFull = Flags(rawValue: GRANITE_CAPTURE_SNAPSHOT_FULL.rawValue)
        package static let collectorAbsent = Flags(rawValue: GRANITE_CAPTURE_COLLECTOR_ABSENT.rawValue)
        package static let collectorTimeout = Flags(rawValue: GRANITE_CAPTURE_COLLECTOR_TIMEOUT.rawValue)
        package static let walkFaulted = Flags(rawValue: GRANITE_CAPTURE_WALK_FAULTED.rawValue)
        package static let noUnwinder = Flags(rawValue: GRANITE_CAPTURE_NO_UNWINDER.rawValue)
    }

    /// A capture. All times are CLOCK_MONOTONIC nanoseconds, 0 if the stage was not reached, but `time` and `created`.
    package struct Capture: Sendable, Equatable {
        package var stage: Stage
        package var kind: Kind
        /// Counts the captures of this worker from 1.
        package var sequence: UInt32
        package var flags: Flags
        package var crashedThread: UInt32
        package var signalNumber: Int32
        package var signalCode: Int32
        package var signalErrno: Int32
        package var signalAddress: Address
        /// 0 unless a process sent the signal.
        package var senderPID: Int32
        package var senderUID: UInt32
        /// CLOCK_REALTIME at entry.
        package var timeNanoseconds: UInt64
        package var enteredNanoseconds: UInt64
        package var claimedNanoseconds: UInt64
        package var parkedNanoseconds: UInt64
        package var walkedNanoseconds: UInt64
        package var copiedNanoseconds: UInt64
        package var servedNanoseconds: UInt64
        package var threadCount: Int
        /// The crashed thread is not counted.
        package var parkedCount: Int
        package var secondFaultSignal: Int32
        package var secondFaultAddress: Address
        package var trapNumber: UInt32
        package var errorCode: UInt64
        package var subject: String
        package var message: String
        /// The thread that owns the value; 0 = not known.
        package var ownerThread: UInt32
        package var ownerName: String
        /// CLOCK_REALTIME, 0 = not known.
        package var createdNanoseconds: UInt64
        /// Return addresses where the value was made, innermost first.
        package var creationFrames: [Address]
        /// Stage C: instruction pointers, innermost first.
        package var handlerFrames: [Address]
        /// Dumps and hangs that were asked for by a signal; ``senderPID`` asked.
        package var cause: Cause
        /// Of that signal.
        package var ticket: UInt32
        /// More about a drop site or growth.
        package var details: CaptureDetails
        /// Whether the worker ends with this capture.
        package var isFatal: Bool { kind == .signal || (kind == .hang && cause == .requestKillTimeout) }

        init(_ raw: granite_capture) {
            stage = Stage(rawValue: min(raw.stage, Stage.finished.rawValue)) ?? .idle
            kind = Kind(rawValue: raw.kind) ?? .none
            sequence = raw.sequence
            flags = Flags(rawValue: raw.flags)
            crashedThread = raw.crashed_tid
            signalNumber = raw.signal_number
            signalCode = raw.signal_code
            signalErrno = raw.signal_errno
            signalAddress = Address(raw.signal_address)
            senderPID = raw.sender_pid
            senderUID = raw.sender_uid
            timeNanoseconds = raw.time_ns
            enteredNanoseconds = raw.entered_ns
            claimedNanoseconds = raw.claimed_ns
            parkedNanoseconds = raw.parked_ns
            walkedNanoseconds = raw.walked_ns
            copiedNanoseconds = raw.copied_ns
            servedNanoseconds = raw.served_ns
            threadCount = min(Int(raw.thread_count), Int(GRANITE_MAX_THREADS))
            parkedCount = min(Int(raw.parked_count), Int(GRANITE_MAX_THREADS))
            secondFaultSignal = raw.second_fault_signal
            secondFaultAddress = Address(raw.second_fault_address)
            trapNumber = raw.trap_number
            errorCode = raw.error_code
            subject = text(of: raw.subject)
            message = text(of: raw.message)
            ownerThread = raw.owner_tid
            ownerName = text(of: raw.owner_name)
            createdNanoseconds = raw.created_ns
            creationFrames = words(of: raw.creation_frames, count: Int(raw.creation_frame_count)).map(Address.init)
            handlerFrames = words(of: raw.handler_frames, count: Int(raw.handler_frame_count)).map(Address.init)
            cause = Cause(rawValue: raw.cause) ?? .none
            ticket = raw.ticket
            details = CaptureDetails(text(of: raw.details))
        }
    }

    /// `enum granite_thread_state`.
    package enum ThreadState: UInt32, Sendable {
        case unused, signalled, parked, crashed, refused, storing
        /// Whether registers and thread pointer are valid.
        package var hasRegisters: Bool { self == .parked || self == .crashed }
    }

    /// One thread at the moment of capture.
    package struct Thread: Sendable, Equatable {
        package var tid: UInt32
        package var state: ThreadState
        /// CLOCK_MONOTONIC when it parked.
        package var timeNanoseconds: UInt64
        /// Equals pthread_self() and Python's thread_id.
        package var threadPointer: Address
        /// DWARF order: 17 on x86_64 (16 is rip), 33 on aarch64. The array always holds `GRANITE_MAX_REGISTERS`.
        package var registers: [UInt64]
        package var name: String

        init(_ raw: granite_thread) {
            tid = raw.tid
            state = ThreadState(rawValue: raw.state) ?? .unused
            timeNanoseconds = raw.time_ns
            threadPointer = Address(raw.fs_base)
            registers = words(of: raw.registers, count: Int(GRANITE_MAX_REGISTERS))
            name = text(of: raw.name)
        }
    }

    /// What the program noted on its way.
    package struct Breadcrumb: Sendable, Equatable {
        package var tid: UInt32
        /// CLOCK_REALTIME.
        package var timeNanoseconds: UInt64
        package var category: String
        package var message: String

        init(_ raw: granite_breadcrumb) {
            tid = raw.tid
            timeNanoseconds = raw.time_ns
            category = text(of: raw.category)
            message = text(of: raw.message)
        }
    }
}

/// The text in a fixed field, up to the first NUL.
func text<Field: BitwiseCopyable>(of field: Field) -> String {
    withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}

/// The first `count` words of a fixed field, or as many as it has.
func words<Field: BitwiseCopyable>(of field: Field, count: Int) -> [UInt64] {
    withUnsafeBytes(of: field) { Array($0.bindMemory(to: UInt64.self).prefix(max(0, count))) }
}
