;; lookup — Y[i] = T[X[i]] for bytes: any function of an eight-bit value
;; Layout    x, y dense; y = x allowed · t: 256 bytes, the results for the bytes 0, 1, … 255
;; Writes    elements m0 ≤ i < m1
(module
  (func $x8_lookup (export "x8_lookup") (param $y i32) (param $x i32) (param $t i32) (param $m0 i32) (param $m1 i32)
    (local $p i32) (local $q i32) (local $end i32)
    (local.set $p (i32.add (local.get $x) (local.get $m0)))
    (local.set $q (i32.add (local.get $y) (local.get $m0)))
    (local.set $end (i32.add (local.get $y) (local.get $m1)))
    (block $eights_done
      (loop $eights
        (br_if $eights_done (i32.gt_u (i32.add (local.get $q) (i32.const 8)) (local.get $end)))
        (i32.store8 (local.get $q) (i32.load8_u (i32.add (local.get $t) (i32.load8_u (local.get $p)))))
        (i32.store8 offset=1 (local.get $q) (i32.load8_u (i32.add (local.get $t) (i32.load8_u offset=1 (local.get $p)))))
        (i32.store8 offset=2 (local.get $q) (i32.load8_u (i32.add (local.get $t) (i32.load8_u offset=2 (local.get $p)))))
        (i32.store8 offset=3 (local.get $q) (i32.load8_u (i32.add (local.get $t) (i32.load8_u offset=3 (local.get $p)))))
        (i32.store8 offset=4 (local.get $q) (i32.load8_u (i32.add (local.get $t) (i32.load8_u offset=4 (local.get $p)))))
        (i32.store8 offset=5 (local.get $q) (i32.load8_u (i32.add (local.get $t) (i32.load8_u offset=5 (local.get $p)))))
        (i32.store8 offset=6 (local.get $q) (i32.load8_u (i32.add (local.get $t) (i32.load8_u offset=6 (local.get $p)))))
        (i32.store8 offset=7 (local.get $q) (i32.load8_u (i32.add (local.get $t) (i32.load8_u offset=7 (local.get $p)))))
        (local.set $p (i32.add (local.get $p) (i32.const 8)))
        (local.set $q (i32.add (local.get $q) (i32.const 8)))
        (br $eights)))
    (block $ones_done
      (loop $ones
        (br_if $ones_done (i32.ge_u (local.get $q) (local.get $end)))
        (i32.store8 (local.get $q) (i32.load8_u (i32.add (local.get $t) (i32.load8_u (local.get $p)))))
        (local.set $p (i32.add (local.get $p) (i32.const 1)))
        (local.set $q (i32.add (local.get $q) (i32.const 1)))
        (br $ones))))
)
