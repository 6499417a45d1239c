;; matmul — C[m,n] = clamp(b[n] + Σk A[m,k]·W[k,n] + R[m,n], lo, hi)
;; Order     acc = b; k ascending: acc = madd(a, w, acc); then + r, one rounding
;; Layout    A rows lda bytes apart · W packed [⌈n/8⌉][k][8], zeros in the last panel · b padded to 8
;;           C, R rows ldc bytes apart; r = 0 means no residual; r = c allowed
;; Writes    exactly C[m0:m1, 0:n]; reads up to 28 bytes past the last row of C and R, and touches memory behind W, if it is
;;           there
;; Tiles     four rows by one panel, or $rows_of_tile!; of the rows left over, two by two panels, one by four
(module
  ;; Blocks of rows that the second cache holds meet all panels, group by group: of about 128 KB, which stays there too. Rows
  ;; left over by tiles come last in a group; where there are no others, they meet all panels, which then come from memory.
  ;;
  ;; Tiles touch both halves of the next group meanwhile, so slowly that it takes as long as the group that they use: the
  ;; hardware is ahead of them, and where it is not, they wait for both at once. After the last group they touch the first,
  ;; for the next block, or what lies behind the matrix, which is often needed next. A group that none has touched, as the
  ;; first of all, is fetched before it is used.
  (func $f32_gemm (export "f32_gemm")
    (param $c i32) (param $a i32) (param $w i32) (param $b i32) (param $r i32)
    (param $lo f32) (param $hi f32) (param $k i32) (param $n i32) (param $lda i32) (param $ldc i32)
    (param $m0 i32) (param $m1 i32)
    (local $vlo v128) (local $vhi v128) (local $kb i32) (local $dr i32) (local $m i32)
    (local $block i32) (local $rows i32) (local $rest i32)
    (local $width i32) (local $start i32) (local $end i32) (local $first i32) (local $next i32)
    (local $half i32) (local $step i32) (local $bytes i32)
    (if (i32.or (i32.ge_u (local.get $m0) (local.get $m1)) (i32.eqz (local.get $n))) (then (return)))
    (local.set $vlo (f32x4.splat (local.get $lo)))
    (local.set $vhi (f32x4.splat (local.get $hi)))
    (local.set $kb (i32.shl (local.get $k) (i32.const 2)))
    (local.set $dr (i32.sub (local.get $r) (local.get $c)))
    (local.set $a (i32.add (local.get $a) (i32.mul (local.get $m0) (local.get $lda))))
    (local.set $c (i32.add (local.get $c) (i32.mul (local.get $m0) (local.get $ldc))))
    (local.set $m (i32.sub (local.get $m1) (local.get $m0)))
    (local.set $block (call $block_rows! (local.get $m) (local.get $kb)))
    (local.set $width (call $group_columns! (local.get $kb)))
    (if (i32.lt_u (local.get $m) (i32.const 4)) (then (local.set $width (local.get $n))))
    (local.set $half (i32.shr_u (i32.mul (local.get $width) (local.get $kb)) (i32.const 1)))
    (local.set $next (local.get $w))
    (loop $blocks
      (local.set $rows (call $min_u! (local.get $m) (local.get $block)))
      (local.set $m (i32.sub (local.get $m) (local.get $rows)))
      (local.set $start (i32.const 0))
      (loop $groups
        (local.set $end (call $min_u! (i32.add (local.get $start) (local.get $width)) (local.get $n)))
        (local.set $first (local.get $next))
        (local.set $next (i32.add (local.get $w) (i32.mul (local.get $end) (local.get $kb))))
        (local.set $bytes (i32.sub (local.get $next) (local.get $first)))
        (if (i32.and (i32.ne (local.get $m) (i32.const 0)) (i32.eq (local.get $end) (local.get $n)))
          (then (local.set $next (local.get $w))))
        (if (i32.ge_u (local.get $rows) (i32.const 4))
          (then
            ;; What is less is in a cache already, or soon read.
            (if (i32.and (i32.gt_u (local.get $bytes) (i32.const 0x7fff)) (i32.eqz (local.get $step)))
              (then (call $fetch! (local.get $first) (local.get $bytes))))
            ;; Not unless memory reaches as far as the last tile may touch: four columns behind the next group.
            (local.set $step
              (select (call $touch_step! (local.get $rows)) (i32.const 0)
                (i32.ge_u
                  (i32.sub (i32.shl (memory.size) (i32.const 16)) (local.get $next))
                  (i32.mul (i32.add (local.get $width) (i32.const 4)) (local.get $kb)))))))
        (local.set $rest
          (call $group! (i32.add (local.get $c) (i32.shl (local.get $start) (i32.const 2)))
            (local.get $a) (local.get $first) (i32.add (local.get $b) (i32.shl (local.get $start) (i32.const 2)))
            (local.get $r) (local.get $dr) (local.get $vlo) (local.get $vhi) (local.get $kb)
            (i32.sub (local.get $end) (local.get $start)) (local.get $lda) (local.get $ldc) (local.get $rows)
            (local.get $step) (local.get $half) (local.get $next)))
        (call $left_over! (i32.add (local.get $c) (i32.shl (local.get $start) (i32.const 2))) (local.get $a)
          (local.get $first) (i32.add (local.get $b) (i32.shl (local.get $start) (i32.const 2)))
          (local.get $r) (local.get $dr) (local.get $vlo) (local.get $vhi)
          (local.get $kb) (i32.sub (local.get $end) (local.get $start))
          (local.get $lda) (local.get $ldc) (i32.sub (local.get $rows) (local.get $rest)) (local.get $rows))
        (br_if $groups (i32.lt_u (local.tee $start (local.get $end)) (local.get $n))))
      (local.set $a (i32.add (local.get $a) (i32.mul (local.get $rows) (local.get $lda))))
      (local.set $c (i32.add (local.get $c) (i32.mul (local.get $rows) (local.get $ldc))))
      (br_if $blocks (local.get $m))))

  ;; Rows of A that are about 832 KB, but seldom fewer than 36, since fewer would wait for panels: blocks of about the same
  ;; size, of which only the last leaves rows over.
  (func $block_rows! (param $m i32) (param $kb i32) (result i32)
    (i32.mul (i32.const 12)
      (i32.add (i32.const 1)
        (i32.div_u (local.get $m)
          (i32.mul (i32.const 12)
            (i32.add (i32.const 1)
              (i32.div_u (i32.mul (local.get $m) (call $min_u! (local.get $kb) (i32.const 0x5000)))
                (i32.const 0xd0000))))))))

  ;; Columns of about 128 KB, whole panels.
  (func $group_columns! (param $kb i32) (result i32)
    (i32.shl
      (i32.add
        (i32.div_u (i32.const 0x20000) (i32.add (i32.shl (local.get $kb) (i32.const 3)) (i32.const 1)))
        (i32.const 1))
      (i32.const 3)))

  ;; As many bytes as a turn of a tile uses of its panel, divided among the tiles and the halves, rounded up, but no line is
  ;; left out.
  (func $touch_step! (param $rows i32) (result i32)
    (call $min_u! (i32.const 64)
      (i32.div_u
        (i32.add (local.get $rows)
          (select (i32.const 383) (i32.const 511) (i32.gt_u (call $tile_rows!) (i32.const 4))))
        (local.get $rows))))

  ;; Of four rows or more that are left, how many the next tile takes where $tile_rows! is six: sixes, and fives where both
  ;; do all rows. Four are a five that ends with the same row twice.
  (func $rows_of_tile! (param $rest i32) (result i32)
    (local $tiles i32)
    (local.set $tiles (i32.div_u (i32.add (local.get $rest) (i32.const 5)) (i32.const 6)))
    (select (i32.const 6) (call $min_u! (local.get $rest) (i32.const 5))
      (i32.or
        (i32.eq (local.get $rest) (i32.mul (local.get $tiles) (i32.const 6)))
        (i32.and
          (i32.gt_u (local.get $tiles) (i32.const 1))
          (i32.lt_u (local.get $rest) (i32.mul (local.get $tiles) (i32.const 5)))))))

  ;; The rows that tiles can do meet the n columns from panel w on; how many are left. With r, the residual lies dr bytes
  ;; from C. Tiles touch the `half` bytes from `touch` on and as many behind them, and of either up to 4·kb more.
  (func $group! (param $c i32) (param $a i32) (param $w i32) (param $b i32) (param $r i32) (param $dr i32)
                (param $lo v128) (param $hi v128) (param $kb i32) (param $n i32) (param $lda i32) (param $ldc i32)
                (param $rest i32) (param $step i32) (param $half i32) (param $touch i32) (result i32)
    (local $limit i32) (local $rows i32) (local $j i32) (local $p i32) (local $panel i32)
    (local $a0 i32) (local $y0 i32) (local $c00 v128) (local $c01 v128)
    (local $a1 i32) (local $y1 i32) (local $c10 v128) (local $c11 v128)
    (local $a2 i32) (local $y2 i32) (local $c20 v128) (local $c21 v128)
    (local $a3 i32) (local $y3 i32) (local $c30 v128) (local $c31 v128)
    (local $a4 i32) (local $y4 i32) (local $c40 v128) (local $c41 v128)
    (local $a5 i32) (local $y5 i32) (local $c50 v128) (local $c51 v128)
    (local.set $limit (i32.add (local.get $touch) (local.get $half)))
    (local.set $a0 (local.get $a))
    (local.set $y0 (local.get $c))
    (block $tiles_done
      (loop $tiles
        (br_if $tiles_done (i32.lt_u (local.get $rest) (i32.const 4)))
        (local.set $rows (i32.const 4))
        (if (i32.gt_u (call $tile_rows!) (i32.const 4))
          (then (local.set $rows (call $rows_of_tile! (local.get $rest)))))
        (local.set $j (i32.const 0))
        (local.set $panel (local.get $w))
        (loop $panels
          (local.set $p (i32.add (local.get $b) (i32.shl (local.get $j) (i32.const 2))))
          (local.set $c00 (v128.load (local.get $p))) (local.set $c01 (v128.load offset=16 (local.get $p)))
          (local.set $c10 (local.get $c00)) (local.set $c11 (local.get $c01))
          (local.set $c20 (local.get $c00)) (local.set $c21 (local.get $c01))
          (local.set $c30 (local.get $c00)) (local.set $c31 (local.get $c01))
          (local.set $c40 (local.get $c00)) (local.set $c41 (local.get $c01))
          (local.set $c50 (local.get $c00)) (local.set $c51 (local.get $c01))
          (local.set $a1 (i32.add (local.get $a0) (local.get $lda)))
          (local.set $a2 (i32.add (local.get $a1) (local.get $lda)))
          (local.set $a3 (i32.add (local.get $a2) (local.get $lda)))
          (if (i32.gt_u (call $tile_rows!) (i32.const 4))
            (then
              (local.set $a4
                (select (i32.add (local.get $a3) (local.get $lda)) (local.get $a3)
                  (i32.gt_u (local.get $rows) (i32.const 4))))
              (if (i32.gt_u (local.get $rows) (i32.const 5))
                (then
                  (local.set $a5 (i32.add (local.get $a4) (local.get $lda)))
                  (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
                  (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
                  (local.set $c40 (local.set $c41 (local.set $c50 (local.set $c51
                    (call $tile6x8! (i32.const 6) (local.get $a0) (local.get $a1) (local.get $a2) (local.get $a3)
                      (local.get $a4) (local.get $a5)
                      (local.get $panel) (local.get $kb) (local.get $step) (local.get $half) (local.get $touch)
                      (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                      (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31)
                      (local.get $c40) (local.get $c41) (local.get $c50) (local.get $c51)))))))))))))))
                (else
                  (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
                  (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
                  (local.set $c40 (local.set $c41 (local.set $c50 (local.set $c51
                    (call $tile6x8! (i32.const 5) (local.get $a0) (local.get $a1) (local.get $a2) (local.get $a3)
                      (local.get $a4) (local.get $a4)
                      (local.get $panel) (local.get $kb) (local.get $step) (local.get $half) (local.get $touch)
                      (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                      (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31)
                      (local.get $c40) (local.get $c41) (local.get $c50) (local.get $c51))))))))))))))
                  (local.set $c50 (local.get $c40)) (local.set $c51 (local.get $c41)))))
            (else
              (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
              (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
                (call $tile4x8! (i32.const 0) (local.get $a0) (local.get $a1) (local.get $a2) (local.get $a3)
                  (local.get $panel) (local.get $kb) (local.get $step) (local.get $half) (local.get $touch)
                  (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                  (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31))))))))))))
          (local.set $y1 (i32.add (local.get $y0) (local.get $ldc)))
          (local.set $y2 (i32.add (local.get $y1) (local.get $ldc)))
          (local.set $y3 (i32.add (local.get $y2) (local.get $ldc)))
          (if (i32.gt_u (call $tile_rows!) (i32.const 4))
            (then
              (local.set $y4
                (select (i32.add (local.get $y3) (local.get $ldc)) (local.get $y3)
                  (i32.gt_u (local.get $rows) (i32.const 4))))
              (local.set $y5
                (select (i32.add (local.get $y4) (local.get $ldc)) (local.get $y4)
                  (i32.gt_u (local.get $rows) (i32.const 5))))))
          (call $store_tile!
            (local.get $y0) (local.get $y1) (local.get $y2) (local.get $y3) (local.get $y4) (local.get $y5)
            (local.get $r) (local.get $dr)
            (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
            (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31)
            (local.get $c40) (local.get $c41) (local.get $c50) (local.get $c51)
            (local.get $lo) (local.get $hi) (i32.sub (local.get $n) (local.get $j)))
          ;; A turn of $tile6x8! is four floats of a row, one of $tile4x8! eight.
          (local.set $touch
            (call $min_u! (local.get $limit)
              (i32.add (local.get $touch)
                (i32.mul (local.get $step)
                  (i32.shr_u (local.get $kb)
                    (select (i32.const 4) (i32.const 5) (i32.gt_u (call $tile_rows!) (i32.const 4))))))))
          (local.set $y0 (i32.add (local.get $y0) (i32.const 32)))
          (local.set $panel (i32.add (local.get $panel) (i32.shl (local.get $kb) (i32.const 3))))
          (br_if $panels
            (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 8))) (local.get $n))))
        ;; Back to the first panel of the group, on to the next rows.
        (local.set $rest (i32.sub (local.get $rest) (local.get $rows)))
        (local.set $a0 (i32.add (local.get $a0) (i32.mul (local.get $rows) (local.get $lda))))
        (local.set $y0
          (i32.add
            (i32.sub (local.get $y0) (i32.shl (local.get $j) (i32.const 2)))
            (i32.mul (local.get $rows) (local.get $ldc))))
        (br $tiles)))
    (local.get $rest))

  ;; Bring memory into the cache, but for some bytes at its end: four places far apart at the same time, line by line. Tiles
  ;; would wait for each line, since they read too slowly for what comes next to be on its way.
  (func $fetch! (param $p i32) (param $bytes i32)
    (local $quarter i32) (local $end i32)
    (local.set $quarter (i32.and (i32.shr_u (local.get $bytes) (i32.const 2)) (i32.const -64)))
    (local.set $end (i32.add (local.get $p) (local.get $quarter)))
    (loop $lines
      (drop (i32.load (local.get $p)))
      (drop (i32.load (i32.add (local.get $p) (local.get $quarter))))
      (drop (i32.load (i32.add (local.get $p) (i32.shl (local.get $quarter) (i32.const 1)))))
      (drop (i32.load (i32.add (local.get $p) (i32.mul (local.get $quarter) (i32.const 3)))))
      (br_if $lines
        (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 64))) (local.get $end)))))

  ;; The rows m0 ≤ row < m1, two at a time and then one; n > 0.
  (func $left_over! (param $c i32) (param $a i32) (param $w i32) (param $b i32) (param $r i32) (param $dr i32)
                    (param $lo v128) (param $hi v128) (param $kb i32) (param $n i32) (param $lda i32) (param $ldc i32)
                    (param $m0 i32) (param $m1 i32)
    (local $i i32) (local $pa i32) (local $pc i32) (local $pr i32)
    (local.set $i (local.get $m0))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        (local.set $pa (i32.add (local.get $a) (i32.mul (local.get $i) (local.get $lda))))
        (local.set $pc (i32.add (local.get $c) (i32.mul (local.get $i) (local.get $ldc))))
        (local.set $pr
          (select (i32.add (local.get $pc) (local.get $dr)) (i32.const 0) (local.get $r)))
        (if (i32.lt_u (i32.add (local.get $i) (i32.const 1)) (local.get $m1))
          (then
            (call $two_rows! (local.get $pc) (local.get $pa) (local.get $w) (local.get $b) (local.get $pr)
              (local.get $lo) (local.get $hi) (local.get $kb) (local.get $n) (local.get $lda) (local.get $ldc)))
          (else
            (call $one_row! (local.get $pc) (local.get $pa) (local.get $w) (local.get $b) (local.get $pr)
              (local.get $lo) (local.get $hi) (local.get $kb) (local.get $n))))
        (local.set $i (i32.add (local.get $i) (i32.const 2)))
        (br $rows))))

  ;; Two rows, two panels at a time: one of either half of the matrix.
  (func $two_rows! (param $c i32) (param $a i32) (param $w i32) (param $b i32) (param $r i32)
                   (param $lo v128) (param $hi v128) (param $kb i32) (param $n i32) (param $lda i32) (param $ldc i32)
    (local $j i32) (local $last i32) (local $size i32) (local $p i32) (local $i i32) (local $half i32)
    (local $c00 v128) (local $c01 v128) (local $c02 v128) (local $c03 v128)
    (local $c10 v128) (local $c11 v128) (local $c12 v128) (local $c13 v128)
    (local.set $size (i32.shl (local.get $kb) (i32.const 3)))
    (local.set $last (i32.shr_u (i32.sub (local.get $n) (i32.const 1)) (i32.const 3)))
    (local.set $half (i32.shr_u (i32.add (local.get $last) (i32.const 2)) (i32.const 1)))
    (local.set $j (i32.const 0))
    (loop $panels
      (local.set $p (call $panel! (local.get $b) (local.get $j) (i32.const 0) (local.get $last) (i32.const 32)))
      (local.set $c00 (v128.load (local.get $p))) (local.set $c01 (v128.load offset=16 (local.get $p)))
      (local.set $p (call $panel! (local.get $b) (local.get $j) (local.get $half) (local.get $last) (i32.const 32)))
      (local.set $c02 (v128.load (local.get $p))) (local.set $c03 (v128.load offset=16 (local.get $p)))
      (local.set $c10 (local.get $c00)) (local.set $c11 (local.get $c01))
      (local.set $c12 (local.get $c02)) (local.set $c13 (local.get $c03))
      (local.set $c00 (local.set $c01 (local.set $c02 (local.set $c03
      (local.set $c10 (local.set $c11 (local.set $c12 (local.set $c13
        (call $tile2x16! (local.get $a) (i32.add (local.get $a) (local.get $lda))
          (call $panel! (local.get $w) (local.get $j) (i32.const 0) (local.get $last) (local.get $size))
          (call $panel! (local.get $w) (local.get $j) (local.get $half) (local.get $last) (local.get $size))
          (local.get $kb)
          (local.get $c00) (local.get $c01) (local.get $c02) (local.get $c03)
          (local.get $c10) (local.get $c11) (local.get $c12) (local.get $c13))))))))))
      ;; One panel after the other, of the first row and then of the second, moves up to the first place.
      (local.set $i (i32.const 0))
      (loop $parts
        (local.set $p (i32.shr_u (local.get $i) (i32.const 1)))
        (call $finish8!
          (i32.add (local.get $c) (i32.mul (local.get $p) (local.get $ldc)))
          (select (i32.add (local.get $r) (i32.mul (local.get $p) (local.get $ldc))) (i32.const 0) (local.get $r))
          (i32.add (local.get $j) (select (local.get $half) (i32.const 0) (i32.and (local.get $i) (i32.const 1))))
          (local.get $n) (local.get $c00) (local.get $c01) (local.get $lo) (local.get $hi))
        (local.set $c00 (local.get $c02)) (local.set $c01 (local.get $c03))
        (local.set $c02 (local.get $c10)) (local.set $c03 (local.get $c11))
        (local.set $c10 (local.get $c12)) (local.set $c11 (local.get $c13))
        (br_if $parts (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4))))
      (br_if $panels (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $half)))))

  ;; One row, four panels at a time: one of each quarter of the matrix.
  (func $one_row! (param $c i32) (param $a i32) (param $w i32) (param $b i32) (param $r i32)
                  (param $lo v128) (param $hi v128) (param $kb i32) (param $n i32)
    (local $j i32) (local $last i32) (local $size i32) (local $p i32) (local $end i32) (local $quarter i32)
    (local $c00 v128) (local $c01 v128) (local $c02 v128) (local $c03 v128)
    (local $c04 v128) (local $c05 v128) (local $c06 v128) (local $c07 v128)
    (local.set $size (i32.shl (local.get $kb) (i32.const 3)))
    (local.set $last (i32.shr_u (i32.sub (local.get $n) (i32.const 1)) (i32.const 3)))
    (local.set $quarter (i32.shr_u (i32.add (local.get $last) (i32.const 4)) (i32.const 2)))
    (local.set $j (i32.const 0))
    (loop $panels
      (local.set $p (call $panel! (local.get $b) (local.get $j) (i32.const 0) (local.get $last) (i32.const 32)))
      (local.set $c00 (v128.load (local.get $p))) (local.set $c01 (v128.load offset=16 (local.get $p)))
      (local.set $p (call $panel! (local.get $b) (local.get $j) (local.get $quarter) (local.get $last) (i32.const 32)))
      (local.set $c02 (v128.load (local.get $p))) (local.set $c03 (v128.load offset=16 (local.get $p)))
      (local.set $p
        (call $panel! (local.get $b) (local.get $j) (i32.shl (local.get $quarter) (i32.const 1)) (local.get $last)
          (i32.const 32)))
      (local.set $c04 (v128.load (local.get $p))) (local.set $c05 (v128.load offset=16 (local.get $p)))
      (local.set $p
        (call $panel! (local.get $b) (local.get $j) (i32.mul (local.get $quarter) (i32.const 3)) (local.get $last)
          (i32.const 32)))
      (local.set $c06 (v128.load (local.get $p))) (local.set $c07 (v128.load offset=16 (local.get $p)))
      (local.set $c00 (local.set $c01 (local.set $c02 (local.set $c03
      (local.set $c04 (local.set $c05 (local.set $c06 (local.set $c07
        (call $tile1x32! (local.get $a)
          (call $panel! (local.get $w) (local.get $j) (i32.const 0) (local.get $last) (local.get $size))
          (call $panel! (local.get $w) (local.get $j) (local.get $quarter) (local.get $last) (local.get $size))
          (call $panel! (local.get $w) (local.get $j) (i32.shl (local.get $quarter) (i32.const 1))
            (local.get $last) (local.get $size))
          (call $panel! (local.get $w) (local.get $j) (i32.mul (local.get $quarter) (i32.const 3))
            (local.get $last) (local.get $size))
          (local.get $kb)
          (local.get $c00) (local.get $c01) (local.get $c02) (local.get $c03)
          (local.get $c04) (local.get $c05) (local.get $c06) (local.get $c07))))))))))
      ;; One panel after the other moves up to the first place.
      (local.set $end (i32.add (local.get $j) (i32.shl (local.get $quarter) (i32.const 2))))
      (local.set $p (local.get $j))
      (loop $parts
        (call $finish8! (local.get $c) (local.get $r) (local.get $p)
          (local.get $n) (local.get $c00) (local.get $c01) (local.get $lo) (local.get $hi))
        (local.set $c00 (local.get $c02)) (local.set $c01 (local.get $c03))
        (local.set $c02 (local.get $c04)) (local.set $c03 (local.get $c05))
        (local.set $c04 (local.get $c06)) (local.set $c05 (local.get $c07))
        (br_if $parts
          (i32.lt_u (local.tee $p (i32.add (local.get $p) (local.get $quarter))) (local.get $end))))
      (br_if $panels (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $quarter)))))

  ;; Where the panel `next` behind number j lies, or the last one if that lies before it.
  (func $panel! (param $base i32) (param $j i32) (param $next i32) (param $last i32) (param $size i32) (result i32)
    (i32.add (local.get $base)
      (i32.mul (call $min_u! (i32.add (local.get $j) (local.get $next)) (local.get $last)) (local.get $size))))

  ;; Finish one row of panel j, unless it lies past n.
  (func $finish8! (param $c i32) (param $r i32) (param $j i32) (param $n i32)
                  (param $v0 v128) (param $v1 v128) (param $lo v128) (param $hi v128)
    (local $u0 v128) (local $u1 v128) (local $column i32) (local $place i32)
    (local.set $column (i32.shl (local.get $j) (i32.const 3)))
    (local.set $place (i32.shl (local.get $column) (i32.const 2)))
    (local.set $u0 (local.get $v0))
    (local.set $u1 (local.get $v1))
    (if (i32.lt_u (local.get $column) (local.get $n))
      (then
        (if (local.get $r)
          (then
            (local.set $u0 (local.set $u1
              (call $add8! (local.get $u0) (local.get $u1) (i32.add (local.get $r) (local.get $place)))))))
        (call $clamp_store8! (i32.add (local.get $c) (local.get $place)) (local.get $u0) (local.get $u1)
          (local.get $lo) (local.get $hi) (i32.sub (local.get $n) (local.get $column))))))
)
