// The Go side of the comparisons: the same work as the Rust peers, the same lines of output.
//
//	versus-go SIZE CASE [ARGUMENT ...]    SIZE is --bench, --quick or --test
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

var size = os.Args[1]

// pick returns one of three, by the size of the sample.
func pick(full, quick, brief int) int {
	switch size {
	case "--bench":
		return full
	case "--quick":
		return quick
	}
	return brief
}

func scale(full int) int { return pick(full, full/10, full/1000+4) }

func figure(metric string, value float64, unit string) {
	fmt.Printf("%s %g %s\n", metric, value, unit)
}

// least finds a number of steps that takes long enough, measures it several times, and returns the
// least time of a step in nanoseconds.
func least(run func(steps int) time.Duration) float64 {
	aim, slices := float64(pick(60, 15, 1))*1e6, pick(5, 3, 1)
	if runtime.GOMAXPROCS(0) == 1 {
		aim, slices = 4e6, pick(60, 15, 1)
	}
	steps := 1024
	first := 0.0
	for {
		first = float64(run(steps))
		if first > aim/10 {
			break
		}
		if first < aim/100 {
			steps *= 8
		} else {
			steps *= 4
		}
	}
	steps = int(float64(steps)*aim/first) &^ 15
	if steps < 16 {
		steps = 16
	}
	best := 0.0
	for i := 0; i < slices; i++ {
		taken := float64(run(steps)) / float64(steps)
		if i == 0 || taken < best {
			best = taken
		}
	}
	return best
}

func steps(run func(steps int) time.Duration) { figure("time", least(run), "ns") }
func rate(run func(steps int) time.Duration)  { figure("rate", 1e3/least(run), "M/s") }

func since(start time.Time) time.Duration { return time.Since(start) }

func number(at int) int {
	n, err := strconv.Atoi(os.Args[at])
	if err != nil {
		panic(err)
	}
	return n
}

// cpu is the CPU time of the process so far, in nanoseconds.
func cpu() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano() + u.Stime.Nano())
}

func scramble(i int) uint64 { return uint64(i) * 0x9E3779B97F4A7C15 >> 20 }

func main() {
	runtime.GOMAXPROCS(2)
	switch os.Args[2] {
	case "yield":
		yield()
	case "life":
		life()
	case "ticket":
		runtime.GOMAXPROCS(1)
		steps(func(n int) time.Duration { return answered(n, 0) })
	case "timer":
		timer()
	case "spawn":
		spawn(os.Args[3])
	case "skew":
		skew()
	case "wake":
		wake()
	case "late":
		late()
	case "idle":
		idle()
	case "park":
		park()
	case "sleepers":
		sleepers()
	case "fair":
		fair()
	case "hog":
		hog()
	case "pingpong":
		pingpong(number(3), number(4), len(os.Args) > 5)
	case "through":
		through(number(3), number(4), number(5), number(6))
	case "hand":
		hand(number(3), os.Args[4])
	case "select":
		choose(number(3), os.Args[4])
	default:
		panic(os.Args[2])
	}
	os.Exit(0)
}
