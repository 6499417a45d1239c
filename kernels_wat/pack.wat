;; pack — a batch of matrices B [k][n] to panels W [⌈n/8⌉][k][8], the right operand of f32_gemm, when running
;; Layout    element (k, n) of entry i of B at b + i·bs + k·ks + n·ns, strides in bytes; the entries of W follow each other;
;;           lanes past n hold any values
;; Requires  ns > 0
;; Writes    the panels m0 ≤ i·⌈n/8⌉ + panel < m1; reads up to 28 bytes past B
(module
  (func $f32_pack (export "f32_pack")
    (param $w i32) (param $b i32) (param $k i32) (param $n i32) (param $ks i32) (param $ns i32) (param $bs i32)
    (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $panels i32) (local $entry i32) (local $column i32) (local $source i32)
    (local $pw i32) (local $pb i32) (local $i i32) (local $j i32) (local $size i32) (local $last i32)
    (local $p i32) (local $x0 v128) (local $x1 v128) (local $x2 v128)
    (local.set $size (i32.shl (local.get $k) (i32.const 5)))
    (local.set $panels (i32.shr_u (i32.add (local.get $n) (i32.const 7)) (i32.const 3)))
    (local.set $m (local.get $m0))
    (block $done
      (br_if $done (i32.eqz (local.get $k)))
      (loop $batch
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $entry (i32.div_u (local.get $m) (local.get $panels)))
        (local.set $source (i32.add (local.get $b) (i32.mul (local.get $entry) (local.get $bs))))
        (local.set $last
          (i32.add (local.get $source) (i32.mul (local.get $ns) (i32.sub (local.get $n) (i32.const 1)))))
        (local.set $column
          (i32.shl (i32.sub (local.get $m) (i32.mul (local.get $entry) (local.get $panels))) (i32.const 3)))
        (local.set $pw (i32.add (local.get $w) (i32.mul (local.get $m) (local.get $size))))
        (local.set $pb (i32.add (local.get $source) (i32.mul (local.get $column) (local.get $ns))))
        (local.set $i (local.get $k))
        (if (i32.eq (local.get $ns) (i32.const 4))
          (then
            ;; Rows of B are dense: eight columns at once.
            (loop $rows
              (v128.store (local.get $pw) (v128.load (local.get $pb)))
              (v128.store offset=16 (local.get $pw) (v128.load offset=16 (local.get $pb)))
              (local.set $pw (i32.add (local.get $pw) (i32.const 32)))
              (local.set $pb (i32.add (local.get $pb) (local.get $ks)))
              (br_if $rows (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))
          (else
            ;; Past the last column, the last one again.
            (if (i32.eq (local.get $ks) (i32.const 4))
              (then
                ;; Columns of B are dense: four elements of four columns at once, twice.
                (loop $fours
                  (local.set $j (i32.const 0))
                  (loop $halves
                    (local.set $p
                      (call $min_u!
                        (i32.add (local.get $pb) (i32.mul (local.get $j) (local.get $ns)))
                        (local.get $last)))
                    (local.set $x0 (v128.load (local.get $p)))
                    (local.set $p (call $min_u! (i32.add (local.get $p) (local.get $ns)) (local.get $last)))
                    (local.set $x1 (v128.load (local.get $p)))
                    (local.set $p (call $min_u! (i32.add (local.get $p) (local.get $ns)) (local.get $last)))
                    (local.set $x2 (v128.load (local.get $p)))
                    (local.set $p (call $min_u! (i32.add (local.get $p) (local.get $ns)) (local.get $last)))
                    (call $store_transposed!
                      (i32.add (local.get $pw) (i32.shl (local.get $j) (i32.const 2))) (i32.const 32)
                      (local.get $x0) (local.get $x1) (local.get $x2) (v128.load (local.get $p))
                      (i32.const 4) (local.get $i))
                    (br_if $halves
                      (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 4))) (i32.const 8))))
                  (local.set $pw (i32.add (local.get $pw) (i32.const 128)))
                  (local.set $pb (i32.add (local.get $pb) (i32.const 16)))
                  (local.set $last (i32.add (local.get $last) (i32.const 16)))
                  (br_if $fours
                    (i32.gt_s (local.tee $i (i32.sub (local.get $i) (i32.const 4))) (i32.const 0)))))
              (else
                (loop $elements
                  (local.set $p (local.get $pb))
                  (local.set $j (i32.const 0))
                  (loop $columns
                    (i32.store (i32.add (local.get $pw) (local.get $j)) (i32.load (local.get $p)))
                    (local.set $p (call $min_u! (i32.add (local.get $p) (local.get $ns)) (local.get $last)))
                    (br_if $columns
                      (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 4))) (i32.const 32))))
                  (local.set $pw (i32.add (local.get $pw) (i32.const 32)))
                  (local.set $pb (i32.add (local.get $pb) (local.get $ks)))
                  (local.set $last (i32.add (local.get $last) (local.get $ks)))
                  (br_if $elements (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))))))
        (local.set $m (i32.add (local.get $m) (i32.const 1)))
        (br $batch))))
)
