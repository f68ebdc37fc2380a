import CLinux
import Glibc

// An open-loop client: attempts begin at their times, whatever has become of the others.
//
//   rollout-load ADDRESS PORT MODE RATE [COUNT] [PATH] [PATIENCE]
//
//   MODE   new         a TCP connection for every request
//          keep-alive  HTTP/1.1 connections that are used again
//          udp         a datagram from a new port for every request
//   RATE   requests a second
//   COUNT  ends after so many; without it, or with 0, at SIGTERM
//   PATH   what is asked for (/api)
//   PATIENCE  seconds after which an attempt has failed (10)
//
// Every failure is a line "failure MILLISECONDS-SINCE-1970 PORT REASON" with the time at which the attempt began and
// the port that it came from; in the end there are "requests N", "failed N" and "latency_ms P50 P99 MAX".

let arguments = CommandLine.arguments
guard arguments.count >= 5, let port = UInt16(arguments[2]), let mode = Mode(rawValue: arguments[3]),
    let rate = Double(arguments[4]), rate > 0, let target = Target(arguments[1], port)
else {
    print("usage: rollout-load IPV4-ADDRESS PORT new|keep-alive|udp RATE [COUNT] [PATH] [PATIENCE]")
    exit(2)
}
let count = arguments.count > 5 ? Int(arguments[5]) ?? 0 : 0
let path = arguments.count > 6 ? arguments[6] : "/api"
let patience = arguments.count > 7 ? Double(arguments[7]) ?? 10 : 10

_ = swiftlet_raise_file_limit()
signal(SIGPIPE, SIG_IGN)
StopSignal.install()
var load = Load(
    target: target, mode: mode, path: path, interval: 1e9 / rate, count: count > 0 ? count : .max,
    patience: patience)
load.run()
print("requests \(load.tally.requests)")
print("failed \(load.tally.failed)")
print("latency_ms \(load.tally.latencies(0.5)) \(load.tally.latencies(0.99)) \(load.tally.latencies(1))")
