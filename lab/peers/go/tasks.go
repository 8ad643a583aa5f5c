package main

import (
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func yield() {
	runtime.GOMAXPROCS(1)
	steps(func(n int) time.Duration {
		var both sync.WaitGroup
		both.Add(2)
		start := time.Now()
		for k := 0; k < 2; k++ {
			go func() {
				for i := 0; i < n/2; i++ {
					runtime.Gosched()
				}
				both.Done()
			}()
		}
		both.Wait()
		return since(start)
	})
}

var sum uint64

func life() {
	runtime.GOMAXPROCS(1)
	steps(func(n int) time.Duration {
		done := make(chan struct{}, 1)
		start := time.Now()
		for i := 0; i < n; i++ {
			go func() {
				sum++
				done <- struct{}{}
			}()
			<-done
		}
		return since(start)
	})
}

// answered: one waits for a message after the other on channels of their own, a second sends them.
func answered(n int, bound time.Duration) time.Duration {
	var open chan struct{}
	finished := make(chan struct{})
	go func() {
		for i := 0; i < n; i++ {
			for open == nil {
				runtime.Gosched()
			}
			c := open
			open = nil
			c <- struct{}{}
			runtime.Gosched()
		}
		close(finished)
	}()
	start := time.Now()
	for i := 0; i < n; i++ {
		c := make(chan struct{}, 1)
		open = c
		if bound == 0 {
			<-c
			continue
		}
		t := time.NewTimer(bound)
		select {
		case <-c:
			t.Stop()
		case <-t.C:
			panic("a second has passed")
		}
	}
	taken := since(start)
	<-finished
	return taken
}

func timer() {
	runtime.GOMAXPROCS(1)
	without := least(func(n int) time.Duration { return answered(n, 0) })
	with := least(func(n int) time.Duration { return answered(n, time.Second) })
	figure("without", without, "ns")
	figure("with", with, "ns")
	figure("arm+cancel", with-without, "ns")
}

func tree(depth int) int {
	if depth == 0 {
		return 1
	}
	c := make(chan int, 1)
	go func() { c <- tree(depth - 1) }()
	right := tree(depth - 1)
	return <-c + right
}

func spawn(shape string) {
	log := pick(20, 17, 10)
	n := 1 << log
	var taken time.Duration
	if shape == "tree" {
		tree(10)
		start := time.Now()
		if tree(log) != n {
			panic("leaves")
		}
		taken = since(start)
	} else {
		batch := n
		if shape == "batch" {
			batch = 1024
		}
		var sum int64
		start := time.Now()
		for k := 0; k < n/batch; k++ {
			var all sync.WaitGroup
			all.Add(batch)
			for i := 0; i < batch; i++ {
				go func() {
					atomic.AddInt64(&sum, 1)
					all.Done()
				}()
			}
			all.Wait()
		}
		taken = since(start)
		if int(sum) != n {
			panic("count")
		}
	}
	figure("rate", float64(n)/taken.Seconds()/1e6, "M/s")
}

func piece(i int) uint64 {
	state := uint64(i) | 1
	rounds := 1000
	if scramble(i)%32 == 0 {
		rounds = 100000
	}
	for ; rounds > 0; rounds-- {
		state = state*6364136223846793005 + 1
	}
	return state
}

func skew() {
	pieces := scale(8192)
	var best [2]time.Duration
	for k := 0; k < pick(3, 2, 1); k++ {
		for w := range best {
			runtime.GOMAXPROCS(w + 1)
			var all sync.WaitGroup
			all.Add(pieces)
			start := time.Now()
			for i := 0; i < pieces; i++ {
				i := i
				go func() {
					atomic.AddUint64(&sum, piece(i))
					all.Done()
				}()
			}
			all.Wait()
			if taken := since(start); k == 0 || taken < best[w] {
				best[w] = taken
			}
		}
	}
	figure("speed-up", best[0].Seconds()/best[1].Seconds(), "x")
}

func wake() {
	n := pick(1000, 300, 4)
	ring := make(chan struct{}, 1)
	var arrived, answered int64
	var moment time.Time
	go func() {
		atomic.AddInt64(&arrived, 1)
		for atomic.LoadInt64(&arrived) < 2 {
		}
		for i := 1; i <= n; i++ {
			<-ring
			moment = time.Now()
			atomic.StoreInt64(&answered, int64(i))
		}
	}()
	atomic.AddInt64(&arrived, 1)
	for atomic.LoadInt64(&arrived) < 2 {
	}
	all := make([]float64, n)
	for i := range all {
		asleep := time.Now()
		for since(asleep) < 100*time.Microsecond {
		}
		start := time.Now()
		ring <- struct{}{}
		for atomic.LoadInt64(&answered) <= int64(i) {
		}
		all[i] = float64(moment.Sub(start)) / 1e3
	}
	sort.Float64s(all)
	figure("p10", quantile(all, 0.1), "us")
	figure("p50", quantile(all, 0.5), "us")
	figure("p99", quantile(all, 0.99), "us")
}

func quantile(sorted []float64, share float64) float64 {
	return sorted[int(float64(len(sorted)-1)*share)]
}

var up, woken int64

func waitFor(counter *int64, n int) {
	for atomic.LoadInt64(counter) < int64(n) {
		time.Sleep(time.Millisecond)
	}
}

func parkAll(n int) {
	never := make(chan int)
	for i := 0; i < n; i++ {
		go func() {
			atomic.AddInt64(&up, 1)
			<-never
		}()
	}
	waitFor(&up, n)
}

// memory is what the process has resident, page tables included, in bytes.
func memory() (bytes float64) {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		words := strings.Fields(line)
		if len(words) > 1 && (words[0] == "VmRSS:" || words[0] == "VmPTE:") {
			kilobytes, _ := strconv.ParseFloat(words[1], 64)
			bytes += kilobytes * 1024
		}
	}
	return
}

func park() {
	n := scale(1000000)
	before, used := memory(), cpu()
	parkAll(n)
	time.Sleep(200 * time.Millisecond)
	figure("memory", (memory()-before)/float64(n), "B")
	figure("set-up", (cpu()-used)/float64(n), "ns")
}

func idle() {
	parkAll(scale(10000))
	time.Sleep(time.Second)
	used := cpu()
	seconds := pick(5, 1, 1)
	time.Sleep(time.Duration(seconds) * time.Second)
	figure("cpu", (cpu()-used)/1e6*5/float64(seconds), "ms")
}

func sleepers() {
	n := scale(1000000)
	base := time.Duration(pick(25, 3, 1)) * time.Second
	used := cpu()
	for i := 0; i < n; i++ {
		i := i
		go func() {
			atomic.AddInt64(&up, 1)
			time.Sleep(base + time.Duration(scramble(i)%1000000)*time.Microsecond)
			atomic.AddInt64(&woken, 1)
		}()
	}
	waitFor(&up, n)
	time.Sleep(time.Duration(pick(300, 100, 1)) * time.Millisecond)
	if atomic.LoadInt64(&woken) > 0 {
		panic("some woke before the last was asleep")
	}
	figure("set-up", (cpu()-used)/float64(n), "ns")
	used = cpu()
	waitFor(&woken, n)
	figure("waking", (cpu()-used)/float64(n), "ns")
}

func late() {
	n := scale(10000)
	base := time.Duration(pick(500, 100, 1)) * time.Millisecond
	all := make([]float64, n)
	for i := range all {
		i := i
		go func() {
			nap := base + time.Duration(scramble(i)%1000000)*time.Microsecond
			until := time.Now().Add(nap)
			time.Sleep(nap)
			all[i] = float64(since(until)) / 1e3
			atomic.AddInt64(&woken, 1)
		}()
	}
	for atomic.LoadInt64(&woken) < int64(n) {
		time.Sleep(50 * time.Millisecond)
	}
	sort.Float64s(all)
	figure("p50", quantile(all, 0.5), "us")
	figure("p99", quantile(all, 0.99), "us")
}

func fair() {
	runtime.GOMAXPROCS(1)
	n := pick(1000, 1000, 10)
	turns := make([]uint64, n)
	for i := range turns {
		i := i
		go func() {
			for {
				atomic.StoreUint64(&turns[i], turns[i]+1)
				runtime.Gosched()
			}
		}()
	}
	look := func() []uint64 {
		seen := make([]uint64, n)
		for i := range seen {
			seen[i] = atomic.LoadUint64(&turns[i])
		}
		return seen
	}
	up := false
	for !up {
		time.Sleep(time.Millisecond)
		up = true
		for _, t := range look() {
			up = up && t > 0
		}
	}
	before := look()
	span := pick(1000, 300, 5)
	time.Sleep(time.Duration(span) * time.Millisecond)
	least, most, all := ^uint64(0), uint64(0), uint64(0)
	for i, t := range look() {
		gained := t - before[i]
		all += gained
		if gained < least {
			least = gained
		}
		if gained > most {
			most = gained
		}
	}
	if least == 0 {
		least = 1
	}
	figure("max/min", float64(most)/float64(least), "times")
	figure("turns", float64(all)/float64(span)/1e3, "M/s")
}

func hog() {
	runtime.GOMAXPROCS(1)
	go func() {
		for {
			start := time.Now()
			for since(start) < time.Millisecond {
			}
			runtime.Gosched()
		}
	}()
	n := pick(3000, 1000, 4)
	all := make([]float64, n)
	done := make(chan bool)
	go func() {
		for i := range all {
			due := time.Now().Add(200 * time.Microsecond)
			time.Sleep(200 * time.Microsecond)
			all[i] = float64(since(due)) / 1e3
		}
		done <- true
	}()
	<-done
	sort.Float64s(all)
	figure("p50", quantile(all, 0.5), "us")
	figure("p99.9", quantile(all, 0.999), "us")
}
