#!/bin/bash
# The inlined switch in machine code (x86_64, release): in each kcoro_site_* function of
# lab_switch_sites, the place where the coroutine is continued lies in that very function, and from
# there to the user's next call no `ret` is executed: no frame of the library is returned through.
# What follows a switch asks for its thread anew, since a coroutine may go on on another one.
. "$(dirname "$0")/lib.sh"
need objdump binutils
run cargo build --release -p kcoro-lab --bin lab_switch_sites
program=target/release/lab_switch_sites
run "$program"

# check SITE DEPARTURE COUNT: DEPARTURE is a pattern of an instruction that only a switch away has,
# COUNT how many switches the site has to have inlined.
check() {
  objdump -d --no-show-raw-insn "--disassemble=$1" "$program" | awk -v site="$1" -v leaves="$2" -v count="$3" '
    /^ *[0-9a-f]+:\t/ {
      sub(/^ */, "")
      address = substr($0, 1, index($0, ":") - 1)
      text = substr($0, index($0, "\t") + 1)
      gsub(/[ \t]+/, " ", text)
      at[++n] = text; number[address] = n
    }
    END {
      if (!n) { print site ": not found in the program"; exit 1 }
      for (i = 1; i <= n; i++) {
        # The continuation: an address in this function, or the instruction after the call.
        if (at[i] ~ /^lea .*\(%rip\),/ && match(at[i], /# [0-9a-f]+ /)) {
          target = substr(at[i], RSTART + 2, RLENGTH - 3)
          if (target in number) label[number[target]] = 1
        }
        if (at[i] ~ leaves) { departures++; if (at[i] ~ /^call/) label[i + 1] = 1 }
      }
      if (departures < count) {
        print site ": " departures + 0 " of " count " switches are inlined here"; exit 1
      }
      for (start in label) {
        labels++
        split("", seen); split("", queue); head = 1; tail = 1; queue[1] = start + 0
        while (head <= tail) {
          i = queue[head++]
          if (i in seen || i > n) continue
          seen[i] = 1
          t = at[i]
          if (t ~ /<kcoro_site_after>/) { arrived++; continue }
          if (t ~ /^ret/) { print site ": `ret` at instruction " i " before user code"; bad = 1; continue }
          if (t ~ /^ud2/ || t ~ leaves) continue
          if (match(t, /^j[a-z]+ [0-9a-f]+ /)) {
            split(t, part, " ")
            if (part[2] in number) queue[++tail] = number[part[2]]
            if (t ~ /^jmp /) continue
          }
          # A call that does not return is the last instruction of its path.
          if (t ~ /^call .*(unwind|panic|refuse|cannot_resume|expect_failed)/) continue
          queue[++tail] = i + 1
        }
      }
      if (labels < count) { print site ": a place to continue is outside this function"; exit 1 }
      if (!arrived) { print site ": user code is not reached"; exit 1 }
      if (bad) exit 1
      print site ": " departures " departures, " labels " places to continue, none behind a return"
    }'
}

# check_fresh SITE: on every way from a place to continue to the next switch away, the thread's word
# is read: nothing that belongs to the former thread is used after the switch.
check_fresh() {
  objdump -d --no-show-raw-insn "--disassemble=$1" "$program" | awk -v site="$1" '
    /^ *[0-9a-f]+:\t/ {
      sub(/^ */, "")
      address = substr($0, 1, index($0, ":") - 1)
      text = substr($0, index($0, "\t") + 1)
      gsub(/[ \t]+/, " ", text)
      at[++n] = text; number[address] = n
    }
    END {
      if (!n) { print site ": not found in the program"; exit 1 }
      for (i = 1; i <= n; i++)
        if (at[i] ~ /^lea .*\(%rip\),/ && match(at[i], /# [0-9a-f]+ /)) {
          target = substr(at[i], RSTART + 2, RLENGTH - 3)
          if (target in number) label[number[target]] = 1
        }
      for (start in label) {
        split("", seen); split("", queue); head = 1; tail = 1; queue[1] = start + 0
        while (head <= tail) {
          i = queue[head++]
          if (i in seen || i > n) continue
          seen[i] = 1
          t = at[i]
          if (t ~ /%fs:/) { reads++; continue }
          if (t ~ /^jmp \*%rax/) { print site ": a switch at instruction " i " without a look at the thread"; bad = 1; continue }
          if (t ~ /^ret/ || t ~ /^ud2/) continue
          if (match(t, /^j[a-z]+ [0-9a-f]+ /)) {
            split(t, part, " ")
            if (part[2] in number) queue[++tail] = number[part[2]]
            if (t ~ /^jmp /) continue
          }
          if (t ~ /^call .*(unwind|panic|refuse|cannot_resume|expect_failed)/) continue
          queue[++tail] = i + 1
        }
      }
      if (!reads) { print site ": no second look at the thread was found"; exit 1 }
      if (bad) exit 1
      print site ": the thread is asked anew after each switch"
    }'
}

failed=0
check kcoro_site_yield '^jmp \*%rax' 2 || failed=1
check kcoro_site_twice '^jmp \*%rax' 4 || failed=1
check_fresh kcoro_site_twice || failed=1
check kcoro_site_suspend '^mov \(%rdx\),%rsp' 1 || failed=1
check kcoro_site_resume '^call \*\(%rdi\)' 1 || failed=1
[ $failed -eq 0 ] || fail "a switch is not where it should be"
