# Curves and parameters of a scan, from the BIDS derivative that `dlif export` writes; base R alone.
#
#   Rscript export.R export-mice/bids sub-m01 curves.pdf
arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) != 3) stop("give the folder `bids` of an export, the name of a scan and a file for the figure (.pdf)")
root <- arguments[1]
scan <- arguments[2]

read_tsv <- function(pattern) {
  found <- list.files(root, pattern = paste0("^", scan, "_", pattern), recursive = TRUE, full.names = TRUE)
  if (length(found) == 0) stop("there is no file ", scan, "_", pattern, " below ", root)
  read.delim(found[1], na.strings = "n/a", check.names = FALSE, encoding = "UTF-8")
}

curves <- read_tsv("seg-.*_tacs[.]tsv$")
blood <- read_tsv("desc-.*_inputfunction[.]tsv$")
parameters <- read_tsv("model-.*_desc-.*[lL]ong_kinpar[.]tsv$")

# one row a region, one column a parameter; only fits that ended at an optimum
sound <- parameters[parameters$status %in% c("converged", "at_bound", "degenerate"), ]
wide <- reshape(sound[, c("region", "parameter", "value")], idvar = "region", timevar = "parameter", direction = "wide")
names(wide) <- sub("^value[.]", "", names(wide))
print(wide, digits = 4, row.names = FALSE)

middle <- (curves$frame_start + curves$frame_end) / 2 / 60
activity <- as.matrix(curves[, !(names(curves) %in% c("frame_start", "frame_end"))]) / 1000

pdf(arguments[3], width = 9, height = 4.5)
par(mfrow = c(1, 2))
matplot(middle, activity, type = "l", lty = 1, xlab = "time [min]", ylab = "activity [kBq/mL]", main = "Regions")
legend("topright", colnames(activity), col = seq_len(ncol(activity)), lty = 1, cex = 0.6, bty = "n")
plot(blood$time / 60, blood$AIF / 1000,
  type = "l", xlab = "time [min]", ylab = "activity [kBq/mL]", main = "Input function"
)
lines(blood$time / 60, blood$whole_blood_radioactivity / 1000, lty = 2)
if ("whole_blood_lower" %in% names(blood)) {
  matlines(blood$time / 60, blood[, c("whole_blood_lower", "whole_blood_upper")] / 1000, lty = 3, col = "grey40")
}
legend("topright", c("unchanged tracer in plasma", "whole blood"), lty = 1:2, cex = 0.7, bty = "n")
invisible(dev.off())
