;; lib_arg — y[o,i] = the j of the best x[o,j,i] over x [outer][n][inner], as i64
;; Ties      the first j, or the last if `last` is not 0
;; Requires  n ≥ 1
;; Writes    outputs m0 ≤ o·inner + i < m1; reads nothing outside x
(module
  ;; The element at an address as an integer: the larger, the better.
  (type $key (func (param i32) (result i64)))

  ;; The bits of a float as an integer of the same order, +0 = -0. NaN is the caller's business.
  (func $ordered! (param $x f32) (result i32)
    (local $bits i32)
    (local.set $bits (i32.reinterpret_f32 (f32.add (local.get $x) (f32.const 0))))
    (i32.xor (local.get $bits)
      (i32.and (i32.shr_s (local.get $bits) (i32.const 31)) (i32.const 0x7fffffff))))

  (func $arg_best! (param $key (ref $key)) (param $size i32)
                   (param $y i32) (param $x i32) (param $n i32) (param $inner i32) (param $last i32)
                   (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $p i32) (local $step i32) (local $j i32) (local $dj i32) (local $rest i32)
    (local $k i64) (local $best i64) (local $at i32) (local $better i32)
    (local.set $step (i32.mul (local.get $inner) (local.get $size)))
    (local.set $dj (i32.const 1))
    (if (local.get $last)
      (then
        (local.set $dj (i32.const -1))
        ;; From the end backwards, the first best is the last one.
        (local.set $x
          (i32.add (local.get $x) (i32.mul (local.get $step) (i32.sub (local.get $n) (i32.const 1)))))
        (local.set $step (i32.sub (i32.const 0) (local.get $step)))))
    (local.set $m (local.get $m0))
    (block $done
      (loop $outputs
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $p
          (call $reduced! (local.get $x) (local.get $m) (local.get $n) (local.get $inner) (local.get $size)))
        (local.set $j (select (i32.sub (local.get $n) (i32.const 1)) (i32.const 0) (local.get $last)))
        (local.set $at (local.get $j))
        (local.set $best (call_ref $key (local.get $p) (local.get $key)))
        (local.set $rest (i32.sub (local.get $n) (i32.const 1)))
        (block $found
          (loop $elements
            (br_if $found (i32.eqz (local.get $rest)))
            (local.set $p (i32.add (local.get $p) (local.get $step)))
            (local.set $j (i32.add (local.get $j) (local.get $dj)))
            (local.set $k (call_ref $key (local.get $p) (local.get $key)))
            (local.set $better (i64.gt_s (local.get $k) (local.get $best)))
            (local.set $at (select (local.get $j) (local.get $at) (local.get $better)))
            (local.set $best (select (local.get $k) (local.get $best) (local.get $better)))
            (local.set $rest (i32.sub (local.get $rest) (i32.const 1)))
            (br $elements)))
        (i64.store (i32.add (local.get $y) (i32.shl (local.get $m) (i32.const 3)))
          (i64.extend_i32_u (local.get $at)))
        (local.set $m (i32.add (local.get $m) (i32.const 1)))
        (br $outputs))))
)
