"""Draw one layer with QGIS, without a screen; run by the interpreter that QGIS was built for.

Reads {"kind", "uri", "extent", "width", "height", "png"} as JSON, writes the picture and {"valid", "said"}: whether
QGIS takes the connection, and every warning of its log.
"""

import json
import sys

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsFillSymbol,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProperty,
    QgsRasterLayer,
    QgsRectangle,
    QgsSymbolLayer,
    QgsVectorTileBasicRenderer,
    QgsVectorTileBasicRendererStyle,
    QgsVectorTileLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor


def vector_layer(uri):
    """Polygons of the layer `golden` in the colour that their attributes say, without an outline."""
    symbol = QgsFillSymbol.createSimple({"outline_style": "no"})
    colour = QgsProperty.fromExpression('color_rgb("red", "green", "blue")')
    symbol.symbolLayer(0).setDataDefinedProperty(QgsSymbolLayer.PropertyFillColor, colour)
    style = QgsVectorTileBasicRendererStyle("polygons", "golden", QgsWkbTypes.PolygonGeometry)
    style.setSymbol(symbol)
    style.setEnabled(True)
    renderer = QgsVectorTileBasicRenderer()
    renderer.setStyles([style])
    layer = QgsVectorTileLayer(uri, "layer")
    layer.setRenderer(renderer)
    return layer


def settings(layer, job):
    """A picture of the extent in EPSG:3857, on white."""
    made = QgsMapSettings()
    made.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    made.setExtent(QgsRectangle(*job["extent"]))
    made.setOutputSize(QSize(job["width"], job["height"]))
    made.setBackgroundColor(QColor("white"))
    made.setLayers([layer])
    return made


def draw(job, said):
    """Whether the layer was taken, after its picture was written."""
    layer = vector_layer(job["uri"]) if job["kind"] == "vector" else QgsRasterLayer(job["uri"], "layer", "wms")
    if layer.isValid():
        rendering = QgsMapRendererParallelJob(settings(layer, job))
        rendering.start()
        rendering.waitForFinished()
        said += [error.message for error in rendering.errors()]
        rendering.renderedImage().save(job["png"])
    return layer.isValid()


application = QgsApplication([], False)
application.initQgis()
messages = []
application.messageLog().messageReceived[str, str, Qgis.MessageLevel].connect(
    lambda text, tag, level: messages.append(f"{tag}: {text}") if level in (Qgis.Warning, Qgis.Critical) else None
)
valid = draw(json.load(sys.stdin), messages)
application.exitQgis()
print(json.dumps({"valid": valid, "said": messages}))
