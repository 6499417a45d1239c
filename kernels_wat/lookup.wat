;; lookup — Y[i] = T[X[i]] for bytes: any function of an eight-bit value
;; Layout    x, y dense; y = x allowed · t: 256 bytes, the results for the bytes 0, 1, … 255
;; Writes    elements m0 ≤ i < m1
(module
  ;; T of byte `shift` / 8 of w, at its place in a word.
  (func $entry! (param $t i32) (param $w i32) (param $shift i32) (result i32)
    (i32.shl
      (i32.load8_u (i32.add (local.get $t) (i32.and (i32.shr_u (local.get $w) (local.get $shift)) (i32.const 255))))
      (local.get $shift)))

  (func $x8_lookup (export "x8_lookup") (param $y i32) (param $x i32) (param $t i32) (param $m0 i32) (param $m1 i32)
    (local $i i32) (local $w i32)
    (local.set $i (local.get $m0))
    (block $fours_done
      (loop $fours
        (br_if $fours_done (i32.gt_u (i32.add (local.get $i) (i32.const 4)) (local.get $m1)))
        (local.set $w (i32.load (i32.add (local.get $x) (local.get $i))))
        (i32.store (i32.add (local.get $y) (local.get $i))
          (i32.or
            (i32.or
              (call $entry! (local.get $t) (local.get $w) (i32.const 0))
              (call $entry! (local.get $t) (local.get $w) (i32.const 8)))
            (i32.or
              (call $entry! (local.get $t) (local.get $w) (i32.const 16))
              (call $entry! (local.get $t) (local.get $w) (i32.const 24)))))
        (local.set $i (i32.add (local.get $i) (i32.const 4)))
        (br $fours)))
    (block $ones_done
      (loop $ones
        (br_if $ones_done (i32.ge_u (local.get $i) (local.get $m1)))
        (i32.store8 (i32.add (local.get $y) (local.get $i))
          (i32.load8_u (i32.add (local.get $t) (i32.load8_u (i32.add (local.get $x) (local.get $i))))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $ones))))
)
